"""The served process of this project's rows: imports the runtime alone.

``serve.py component FOLDER TEXTS SECONDS`` serves one rung, ``serve.py artefact FOLDER TEXTS SECONDS`` a
whole artefact.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from bench.probe import serve


def _component(folder: str) -> Callable[[], Callable[[str], Any]]:
    def load() -> Callable[[str], Any]:
        from understudy.runtime.component import load_component

        component = load_component(Path(folder))
        return lambda text: component.predict([(text,)])[0].values[0]

    return load


def _artefact(folder: str) -> Callable[[], Callable[[str], Any]]:
    def load() -> Callable[[str], Any]:
        from understudy.runtime.answer import load as load_artefact

        return load_artefact(folder).answer

    return load


if __name__ == "__main__":
    serve({"component": _component, "artefact": _artefact}[sys.argv[1]](sys.argv[2]), sys.argv[3:])
