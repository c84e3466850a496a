"""Reads the project's pages: fenced blocks, links, headings, command lines. Markdown as we write it, no more."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```\s*$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"`[^`\n]*`")
_ENDS = {"|", "<", ">", ">>", ";", "&&", "||", "2>", "&"}


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes
    ----------
    page
        Path from the root.
    line
        Where it begins, from 1.
    language, words
        First and further words after the fence.
    text
        Its content.
    """

    page: str
    line: int
    language: str
    words: tuple[str, ...]
    text: str

    @property
    def is_run(self) -> bool:
        return "run" in self.words

    @property
    def file_name(self) -> str | None:
        return next((word.removeprefix("file=") for word in self.words if word.startswith("file=")), None)


def page_paths() -> list[Path]:
    """Every page of the project, as the root and three folders hold them."""
    found = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")]
    return sorted(found)


def page_names() -> list[str]:
    return [path.relative_to(ROOT).as_posix() for path in page_paths()]


def blocks_of(name: str) -> list[Block]:
    text = (ROOT / name).read_text(encoding="utf-8")
    out = []
    for match in _FENCE.finditer(text):
        language, *words = match[1].split() or [""]
        out.append(Block(name, text.count("\n", 0, match.start()) + 1, language, tuple(words), match[2]))
    return out


def prose_of(name: str) -> str:
    """The page without fenced blocks."""
    return _FENCE.sub("", (ROOT / name).read_text(encoding="utf-8"))


def links_of(name: str) -> list[str]:
    """Targets of links that stay in the repository."""
    targets = _LINK.findall(_CODE.sub("", prose_of(name)))
    return [target for target in targets if not re.match(r"[a-z]+:", target)]


def anchors_of(path: Path) -> set[str]:
    """Headings as anchors, in GitHub's manner: lower case, spaces to hyphens, most marks dropped."""
    text = _FENCE.sub("", path.read_text(encoding="utf-8"))
    heads = re.findall(r"^#+ +(.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def command_lines(block: Block) -> list[list[str]]:
    """Arguments of every ``understudy`` command in a shell block; pipes, redirections and prompts are cut off."""
    if block.language not in ("sh", "console", "bash", "shell"):
        return []
    found = []
    for line in block.text.replace("\\\n", " ").splitlines():
        stripped = line.strip()
        if block.language == "console" and not stripped.startswith("$"):
            continue  # output
        lexer = shlex.shlex(stripped.removeprefix("$").strip(), posix=True, punctuation_chars="|<>;&")
        lexer.whitespace_split = True
        words = list(lexer)
        starts = [0, *(at + 1 for at, word in enumerate(words) if word in _ENDS)]
        for start in starts:
            if words[start : start + 1] == ["understudy"]:
                rest = words[start + 1 :]
                found.append(rest[: next((at for at, word in enumerate(rest) if word in _ENDS), len(rest))])
    return found
