"""Functions of Python's standard library: from the signature to the first line of the docstring.

Real texts that are on every machine, with many ways to say a thing. Whole files are either learnt from or tested on, and
a first line that was seen in one is left out of the other.
"""

from __future__ import annotations

import ast
import random
import warnings
from collections.abc import Iterator
from pathlib import Path

from understudy.lm.text import find_files

__all__ = ["functions"]

_MOST_LINE, _LEAST_LINE, _MOST_HEAD = 80, 12, 140


def functions(*, n_test: int, seed: int = 0) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Pairs of signature and first line, to learn from and to test on, each in a seeded order."""
    files = find_files()
    random.Random(seed).shuffle(files)
    test: dict[str, tuple[str, str]] = {}
    rest: dict[str, tuple[str, str]] = {}
    for path in files:
        # By file, until there is enough to test on.
        side = test if len(test) < n_test else rest
        for head, line in _pairs(path):
            if line not in test and line not in rest:
                side[line] = (head, line)
    learnt, tested = list(rest.values()), list(test.values())[:n_test]
    random.Random(seed).shuffle(learnt)
    return learnt, tested


def _pairs(path: Path) -> Iterator[tuple[str, str]]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # old files have odd escapes
            tree = ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, UnicodeDecodeError, ValueError):
        return
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef):
            continue
        line = (ast.get_docstring(node) or "").strip().split("\n")[0].strip()
        head = f"{path.stem}: def {node.name}({ast.unparse(node.args)})"
        if _LEAST_LINE <= len(line) <= _MOST_LINE and len(head) <= _MOST_HEAD and line.isascii():
            yield head, line
