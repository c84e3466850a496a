"""The contract of everything that answers at run time, and the registry that loads it.

A component is a folder with ``component.json`` (its ``type``, its problems, its settings) and data files.
It never reaches torch, transformers or scikit-learn. Third parties register a loader under the entry-point
group ``understudy.components``; the built-in ones go through the same table.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from understudy.calls.call import InputParts
from understudy.errors import ArtefactError
from understudy.runtime.prediction import FieldPrediction
from understudy.task.problem import Problem

__all__ = [
    "COMPONENT_FILE",
    "Component",
    "TokenCounter",
    "WritingComponent",
    "load_component",
    "write_component_file",
]

COMPONENT_FILE = "component.json"
_GROUP = "understudy.components"
_BUILT_IN = {
    "encoder": "understudy.runtime.encoder:EncoderComponent.load",
    "linear": "understudy.runtime.linear:LinearComponent.load",
    "lookup": "understudy.runtime.lookup:LookupComponent.load",
    "writer": "understudy.runtime.writer:WriterComponent.load",
}


class Component(Protocol):
    """Answers some fields of a task for a batch of inputs.

    The prediction for an input must not depend on what else is in the batch: the same bits at every batch
    size, in every process.
    """

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The problems it answers, in the order of :meth:`predict`'s result."""
        ...

    def predict(self, inputs: Sequence[InputParts]) -> list[FieldPrediction]:
        """One :class:`FieldPrediction` per problem, each for all `inputs`."""
        ...


@runtime_checkable
class WritingComponent(Component, Protocol):
    """Writes a text piece by piece."""

    @property
    def is_plain(self) -> bool:
        """Whether it writes the text of its only field as it is, so that :meth:`stream` yields pieces."""
        ...

    def stream(self, parts: InputParts) -> Generator[str, None, list[FieldPrediction]]:
        """Pieces of a plain text as they are written; returns what ``predict([parts])`` would.

        May be advanced by one thread after the other, never by two at once. Closing it ends the writing.
        """
        ...


@runtime_checkable
class TokenCounter(Protocol):
    """What a component that reads and writes tokens knows of them."""

    @property
    def max_new_tokens(self) -> int:
        """Most tokens that it writes in an answer."""
        ...

    def count_prompt_tokens(self, parts: InputParts) -> int:
        """Tokens that it reads for an input."""
        ...

    def token_ends(self, text: str) -> list[int]:
        """Per token of a written text, the character behind its last one."""
        ...


def load_component(folder: Path) -> Component:
    """Load the component in `folder`.

    Raises
    ------
    ArtefactError
        If ``component.json`` is missing or names a type that nothing registered.
    """
    path = folder / COMPONENT_FILE
    try:
        spec: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ArtefactError("a component's description cannot be read", given=f"{path}: {error}") from error
    return _loader(str(spec["type"]))(folder, spec)


def _loader(kind: str) -> Callable[[Path, dict[str, Any]], Component]:
    if kind in _BUILT_IN:
        module_name, _, attribute = _BUILT_IN[kind].partition(":")
        at: Any = importlib.import_module(module_name)
        for name in attribute.split("."):
            at = getattr(at, name)
        loader: Callable[[Path, dict[str, Any]], Component] = at
        return loader
    # Only plug-ins need it, and it would double what a small process loads.
    from importlib.metadata import entry_points

    for entry in entry_points(group=_GROUP, name=kind):
        plugged: Callable[[Path, dict[str, Any]], Component] = entry.load()
        return plugged
    raise ArtefactError(
        f"this artefact needs a component of type {kind!r}, which is not installed",
        todo="install the package that provides it (entry-point group understudy.components)",
    )


def write_component_file(folder: Path, kind: str, problems: Sequence[Problem], **settings: Any) -> None:
    """Write ``component.json`` for a component of type `kind`."""
    spec = {"type": kind, "problems": [problem.to_dict() for problem in problems], **settings}
    text = json.dumps(spec, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    (folder / COMPONENT_FILE).write_text(text, encoding="utf-8")
