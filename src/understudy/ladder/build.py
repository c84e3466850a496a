"""Build the winner, certify it through the runtime that will serve it, and write the artefact.

The certify split is opened here, once, after the artefact's bytes are fixed; only thresholds are added to the
manifest afterwards, and those are what the certificate is about.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from understudy import _version
from understudy.certify.certification import Certification
from understudy.dataset.dataset import Dataset
from understudy.ladder.cache import sweep_scratch
from understudy.ladder.candidates import Candidate
from understudy.ladder.climb import Climb
from understudy.ladder.evidence import Evidence, certify_fields, certify_record
from understudy.ladder.folds import CertifyGate, make_fold
from understudy.ladder.options import LearnOptions
from understudy.ladder.repeats import RepeatEvidence
from understudy.runtime.answer import COMPONENTS_FOLDER, load
from understudy.runtime.artefact import hash_file, publish_folder, write_manifest
from understudy.runtime.stages import FieldCalibration, Stage

__all__ = ["Built", "assemble", "certify_build", "publish"]

_MOST_WRITTEN = 4_000
"""Certify calls, drawn by seed, where texts are written: more would take long, and say little more."""
_PACKAGES = (
    "numpy",
    "onnxruntime",
    "tokenizers",
    "scikit-learn",
    "torch",
    "transformers",
    "onnx",
    "scipy",
    "llguidance",
)


@dataclass(frozen=True, slots=True)
class Built:
    """A built and certified system, not yet published.

    Attributes
    ----------
    folder
        Scratch folder beside the target.
    manifest
        Its manifest so far.
    evidence
        The certify fold and the predictions.
    record, fields
        Certificates.
    """

    folder: Path
    manifest: dict[str, Any]
    evidence: Evidence
    record: Certification
    fields: dict[str, Certification]


def assemble(
    data: Dataset, options: LearnOptions, state: Climb, best: Candidate, lookup: RepeatEvidence, out: Path
) -> tuple[Path, dict[str, Any]]:
    """Copy the winner's components into a scratch folder beside `out` and write a manifest without thresholds."""
    scratch = out.with_name(f".{out.name}.building-{os.getpid()}")
    sweep_scratch(out.parent, f".{out.name}.building-*", "-")
    (scratch / COMPONENTS_FOLDER).mkdir(parents=True)
    for name in best.members:
        shutil.copytree(state.fitted[name].component, scratch / COMPONENTS_FOLDER / name)
    stages = list(best.stages)
    if lookup.student is not None:
        folder = scratch / COMPONENTS_FOLDER / "lookup"
        folder.mkdir()
        lookup.student.export(folder)
        own = tuple((FieldCalibration(),) for _ in data.problems)
        stages.insert(0, Stage("lookup", ("lookup",), own, floor=1e-6, is_certified_alone=True))
    manifest = {
        "name": data.task.name,
        "task": data.task.to_dict(),
        "problems": [problem.to_dict() for problem in data.problems],
        "deferred_fields": deferred_fields(data),
        "request_kinds": list(data.request_kinds),
        "teacher": teacher_facts(data),
        "stages": [stage.to_dict() for stage in stages],
        "threshold": None,
        "field_thresholds": {},
        "certificate": None,
        "data_fingerprint": data.fingerprint(),
        "options": options.to_dict(),
        "packages": package_versions(),
        "machine": {"processor": platform.machine(), "system": platform.system()},
        "understudy": _version.__version__,
        "base_models": base_models(scratch / COMPONENTS_FOLDER),
    }
    write_manifest(scratch, manifest)
    return scratch, manifest


def deferred_fields(data: Dataset) -> list[str]:
    """Fields that no rung answers."""
    learnt = {problem.field.name for problem in data.problems}
    return [field.name for field in data.task.fields if field.name not in learnt]


def teacher_facts(data: Dataset) -> dict[str, Any]:
    """What a call cost at the teacher, and who it was: what the ledger reckons savings by; ``None`` is unknown."""
    models = Counter(model for model in data.models if model)
    means = {
        "mean_usd": data.cost_usd,
        "mean_input_tokens": data.input_tokens,
        "mean_output_tokens": data.output_tokens,
    }
    return {
        "model": models.most_common(1)[0][0] if models else None,
        **{
            name: float(np.nanmean(column)) if len(column) and not np.isnan(column).all() else None
            for name, column in means.items()
        },
    }


def package_versions() -> dict[str, str]:
    """Versions of what decides the result."""
    out = {}
    for name in _PACKAGES:
        try:
            out[name] = version(name)
        except PackageNotFoundError:
            continue
    return out


def base_models(components: Path) -> list[dict[str, Any]]:
    """Provenance that encoder components carry."""
    out = []
    for path in sorted(components.glob("*/component.json")):
        spec = json.loads(path.read_text(encoding="utf-8"))
        if spec.get("base"):
            out.append({"component": path.parent.name, **spec["base"]})
    return out


def certify_build(
    scratch: Path,
    manifest: dict[str, Any],
    options: LearnOptions,
    state: Climb,
    best: Candidate,
    gate: CertifyGate,
    delta: float,
) -> Built:
    """Run the certify split through the runtime and certify what comes out."""
    model = load(scratch)
    fold = gate.open_once()
    evidence = Evidence(fold, model.predict(fold.inputs), model.cascade.problems)
    record = certify_record(evidence, best, options, delta, can_answer=not model.never_answered)
    fields = certify_fields(evidence, best, state.select, options, delta)
    return Built(scratch, manifest, evidence, record, fields)


def certify_gate(data: Dataset, options: LearnOptions) -> CertifyGate:
    """The only way to the certify split."""
    writes = any(problem.mode == "write" for problem in data.problems)
    return CertifyGate(
        lambda: make_fold(
            data,
            ["certify"],
            options.learn_from,
            one_per_group=True,
            needs=options.reference,
            most=_MOST_WRITTEN if writes else None,
        )
    )


def artefact_id(folder: Path, manifest: Mapping[str, Any]) -> str:
    """A name for exactly these bytes and thresholds; measured times do not enter."""
    digest = hashlib.sha256()
    for path in sorted((folder / COMPONENTS_FOLDER).rglob("*")):
        if path.is_file():
            digest.update(f"{path.relative_to(folder).as_posix()} {hash_file(path)}\n".encode())
    named = {key: manifest[key] for key in ("task", "problems", "stages", "threshold", "field_thresholds")}
    digest.update(json.dumps(named, sort_keys=True, ensure_ascii=False).encode())
    return digest.hexdigest()[:16]


def publish(built: Built, out: Path, files: Mapping[str, str], manifest: Mapping[str, Any]) -> None:
    """Add text files, hash everything, and give the folder its final name."""
    for name, text in files.items():
        (built.folder / name).write_text(text, encoding="utf-8")
    write_manifest(built.folder, manifest)
    publish_folder(built.folder, out)


def shares_by_stage(evidence: Evidence, stages: Sequence[Stage]) -> list[dict[str, Any]]:
    """Which stage spoke on which share of certify calls."""
    count = max(len(evidence.fold), 1)
    spoke = (
        np.bincount(evidence.result.stage, minlength=len(stages))
        if len(evidence.fold)
        else np.zeros(len(stages))
    )
    return [{"rung": stage.rung, "share": float(spoke[at]) / count} for at, stage in enumerate(stages)]
