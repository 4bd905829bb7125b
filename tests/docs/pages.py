"""The pages of the documentation and what is fenced in them."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

ROOT = Path(__file__).resolve().parents[2]
PAGES = {
    path.relative_to(ROOT).as_posix(): path
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
    if "_build" not in path.parts
}
_FENCE = re.compile(r"( *)(```+)(\S*)$")
_NOT_RUN = re.compile(r"<!-- not run: (.*?) -->")


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """What stands between two fences."""

    page: str
    line: int
    language: str
    text: str
    reason: str | None = None
    """Why it is not run, as the comment directly above it says; None: it is."""

    @property
    def at(self) -> str:
        """Where it is, as a message says it."""
        return f"{self.page}:{self.line}"


def blocks(page: str) -> list[Block]:
    """Return the blocks of a page in order."""
    found: list[Block] = []
    lines = PAGES[page].read_text(encoding="utf-8").splitlines()
    number = 0
    while number < len(lines):
        opened = _FENCE.match(lines[number])
        if opened:
            indent, fence, language = opened.groups()
            end = next(n for n in range(number + 1, len(lines)) if lines[n].strip() == fence)
            said = _NOT_RUN.fullmatch(lines[number - 1].strip()) if number else None
            found.append(
                Block(
                    page=page,
                    line=number + 1,
                    language=language,
                    text="".join(line.removeprefix(indent) + "\n" for line in lines[number + 1 : end]),
                    reason=said[1] if said else None,
                )
            )
            number = end
        number += 1
    return found


def prose(page: str) -> str:
    """Return a page without what is fenced, and without its comments."""
    text = PAGES[page].read_text(encoding="utf-8")
    text = re.sub(r"^( *)(```+)\S*\n.*?^\1\2$", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)


def anchors(text: str) -> set[str]:
    """Return the anchors of a page's headings, as a code host makes them."""
    found: set[str] = set()
    for heading in re.findall(r"^#{1,6} (.+)$", text, re.MULTILINE):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        unique, number = slug, 0
        while unique in found:
            number += 1
            unique = f"{slug}-{number}"
        found.add(unique)
    return found
