"""A folder in which a scripted endpoint labels inputs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from teachers.scripted_server import PRICE
from understudy.task.field import Field
from understudy.task.task import Task
from understudy.teachers.label import label
from understudy.teachers.options import LabelOptions, TeacherOptions
from understudy.teachers.receipt import Receipt

QUEUE = Task("queue", (Field("answer", "choice", ("billing", "delivery")),), instructions="Sort the message.")


class Workplace:
    """A folder in which inputs are labelled."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url = folder, url
        self.inputs, self.out = folder / "inputs.jsonl", folder / "labelled.jsonl"

    def write(self, inputs: Sequence[Any]) -> None:
        """One input per line."""
        self.inputs.write_text("".join(json.dumps(one) + "\n" for one in inputs), encoding="utf-8")

    def label(self, *models: str, price: str | None = PRICE, **given: Any) -> Receipt:
        """Run a job."""
        teachers = tuple(TeacherOptions(self.url, model, price=price) for model in models or ("large",))
        chosen = {"task": QUEUE, "cache": self.folder / "cache", **given}
        return label(LabelOptions(inputs=self.inputs, out=self.out, teachers=teachers, **chosen))

    def lines(self) -> list[dict[str, Any]]:
        """The output."""
        return [json.loads(line) for line in self.out.read_text(encoding="utf-8").splitlines()]
