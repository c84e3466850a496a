"""What a run of the ladder found: one JSON-ready mapping that console, report, manifest and Python all read.

Keys of :attr:`LearnResult.facts` (every missing measurement is ``None``, never 0):

- ``name``; ``id`` (of the artefact); ``options``; ``chosen`` (name of the winning system); ``stop_reason``; ``warnings`` (texts);
  ``deferred_fields`` (names of fields that no rung of the run answers), ``deferred_reasons`` (why, per name);
  ``never_answered`` (the required ones among them); ``base_models``,
  ``packages``, ``data_fingerprint``; ``measured`` (``student_seconds``, ``student_usd`` per call); ``lookup`` (``share``
  of repeated inputs, ``n_pairs``, ``n_equal``, ``reason``).
- ``data``: ``n_calls``, ``n_train``, ``n_select``, ``n_certify``, ``n_holdout``, ``n_off_schema``,
  ``n_exact_duplicates``, ``n_groups``, ``mean_chars``.
- ``teacher``: ``usd_per_call``, ``usd_reason``, ``models``, ``gold_accuracy`` ({share, low, high, n} or None),
  ``ceiling`` ({share, low, high, n} or None).
- ``rungs``: list of ``name``, ``status`` (``fitted``, ``cached``, ``skipped``), ``reason``, ``predicted_seconds``,
  ``fit_seconds``, ``size_bytes``, ``call_seconds``, ``call_usd``, ``float_agreement``, ``accuracy`` ({field name or
  ``record``: share equal to the reference on select}), ``coverage`` (forecast at the target), ``risk_coverage``
  (list of [coverage, agreement among answered]), ``curve`` ({``points``: [{n_calls, n_eval, n_errors}],
  ``forecast``: [[n_calls, error, low, high]], ``reason``} or None).
- ``candidates``: list of ``name``, ``call_seconds``, ``call_usd``, ``total_usd``, ``coverage``, ``accuracy``,
  ``is_chosen``.
- ``stages``: list of ``rung``, ``share`` of certify calls that it spoke on.
- ``certificate``: ``certify.certification.Certification`` with ``sentence``; ``gold_certificate``, ``non_inferiority``: the
  fields of ``certify.gold.GoldCertification`` (with ``sentence``) and ``NonInferiority``, or None.
- ``fields``: list of ``name``, ``kind``, ``mode``, ``equality`` (for texts, what counts as equal; else None), ``chars``
  (for texts, median length of the ``student``'s and of the ``reference``'s; else None), ``accuracy``, ``gold_accuracy``, ``certificate``, ``labels`` (list of
  ``label``, ``n``, ``precision``, ``recall``, ``coverage``).
- ``calibration``: list of ``low``, ``high``, ``n``, ``mean_confidence``, ``accuracy``.
- ``disagreements``: list of ``id``, ``field``, ``kind``, ``input`` (text or None), ``reference``, ``student``,
  ``confidence``; texts are cut, and None where no texts are kept.
- ``suspects``: suspected teacher mistakes, list of ``id``, ``field``, ``input``, ``teacher``, ``suggested``, ``score``.
- ``receipt``: ``machine_seconds``, ``machine_usd``, ``teacher_usd`` (price of the recorded calls), ``rungs`` (name, seconds,
  was_cached), ``writer`` (``base``, ``tuning`` of the rungs that write, or None).
- ``breakeven``: {``calls``, ``reason``, ``series``: [[volume, teacher only usd, with student usd]]} or None.
- ``next_steps``: list of ``text``, ``usd`` (or None), ``kind``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from understudy.errors import NothingCertifiedError
from understudy.runtime.answer import Understudy, load

__all__ = ["LearnResult"]


@dataclass(frozen=True, slots=True)
class LearnResult:
    """The outcome of ``learn``.

    Attributes
    ----------
    facts
        Everything that was found; see the module's docstring.
    folder
        The artefact. If nothing was certified, its name ends in ``-not-certified``, and it defers every call.
    is_certified
        Whether the target was certified.
    """

    facts: Mapping[str, Any]
    folder: Path
    is_certified: bool

    @property
    def sentence(self) -> str:
        """The certificate in one plain sentence."""
        return str(self.facts["certificate"]["sentence"])

    def load(self) -> Understudy:
        """The artefact, ready to answer."""
        return load(self.folder)

    def require_certified(self) -> LearnResult:
        """The result itself.

        Raises
        ------
        NothingCertifiedError
            If the target was not certified, with the reason.
        """
        if not self.is_certified:
            raise NothingCertifiedError(
                "nothing meets the target", given=self.sentence, todo=f"read {self.folder / 'report.html'}"
            )
        return self

    def to_json(self) -> str:
        """The facts as JSON."""
        return json.dumps(self.facts, ensure_ascii=False, indent=1)
