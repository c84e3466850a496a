"""How alike two texts are: ROUGE-L and chrF, each in [0, 1] with 1 for the same text; and the number a text ends in.

Measures of wording: they see neither meaning nor truth ("not", a wrong figure and a wrong name cost little). Pure
functions of two texts; what score counts as "the same" is the user's to say.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

from understudy.text.normalise import compact_text
from understudy.text.numbers import find_numbers

__all__ = ["chrf", "last_number", "longest_common", "rouge_l", "words_of"]

# Scripts written without blanks: Thai, Lao, Burmese, Khmer, kana, Han.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(f"[{_UNSPACED}]|[^\\W_{_UNSPACED}]+")
_ORDERS = 6
_BETA = 2.0


def words_of(text: str) -> list[str]:
    """Lower-cased runs of letters and digits; of scripts without blanks every character by itself."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).lower())


def longest_common(left: Sequence[str], right: Sequence[str]) -> int:
    """Length of the longest common subsequence.

    Bit-parallel (H. Hyyrö 2004, Bit-parallel LCS-length computation revisited): one addition of a whole row per item
    of `right`.
    """
    places: dict[str, int] = {}
    for at, item in enumerate(left):
        places[item] = places.get(item, 0) | 1 << at
    full = (1 << len(left)) - 1
    row = full
    for item in right:
        hits = row & places.get(item, 0)
        row = ((row + hits) | (row - hits)) & full
    return len(left) - row.bit_count()


def rouge_l(left: str, right: str) -> float:
    """F1 of the longest common subsequence of words, in [0, 1].

    C.-Y. Lin (2004), ROUGE: A package for automatic evaluation of summaries; without stemming. For text in ASCII it
    equals the package ``rouge-score``; that one drops letters of other scripts, this one keeps them. Two texts
    without any word are alike only if they are the same (NFKC, white space folded).
    """
    one, two = words_of(left), words_of(right)
    if not one or not two:
        return float(compact_text(left) == compact_text(right))
    common = longest_common(one, two)
    return 2 * common / (len(one) + len(two))


def _grams(text: str, order: int) -> Counter[str]:
    return Counter(text[at : at + order] for at in range(len(text) - order + 1))


def chrf(said: str, meant: str) -> float:
    """chrF2 of `said` against the reference `meant`, in [0, 1]; not symmetric, recall counts twice.

    M. Popović (2015), chrF: character n-gram F-score for automatic MT evaluation. Precision and recall of character
    n-grams of orders 1 to 6 without white space, averaged over the orders that both texts have, beta 2: the default
    of ``sacrebleu``, on a scale of 0 to 1.
    """
    one, two = "".join(said.split()), "".join(meant.split())
    if not one or not two:
        return float(one == two)
    precision = recall = 0.0
    orders = min(_ORDERS, len(one), len(two))
    for order in range(1, orders + 1):
        given, wanted = _grams(one, order), _grams(two, order)
        hits = sum(min(count, wanted[gram]) for gram, count in given.items() if gram in wanted)
        precision += hits / given.total()
        recall += hits / wanted.total()
    precision, recall = precision / orders, recall / orders
    if precision + recall == 0:
        return 0.0
    return (1 + _BETA**2) * precision * recall / (_BETA**2 * precision + recall)


def last_number(text: str) -> float | None:
    """The last number that stands in `text`, or ``None``: what an answer with its working comes to."""
    found = find_numbers(text)
    return found[-1].value if found else None
