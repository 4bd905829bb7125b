"""Draw the packages of ltbench and the imports between them, and list them, for docs/architecture.md.

    python scripts/draw_packages.py [--check]

The picture is docs/packages.svg; the list is the part of the page between the markers `packages`, and has the first
sentence of each package.

Every import counts, lazy ones and those for type checkers included. An arrow that follows from two others is left out:
where `cli` imports `leaderboard` and `leaderboard` imports `records`, an arrow from `cli` to `records` tells nothing new.
A package stands one row above the highest package that it imports, so every arrow points down; a circle is an error.
--check fails, with exit code 5, where picture or list is not the one of the code. Needs grimp, which import-linter brings.
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections.abc import Collection, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from html import escape
from pathlib import Path

import grimp

from ltbench.core.generated_files import splice

ROOT = Path(__file__).parents[1]
PICTURE, PAGE = ROOT / "docs" / "packages.svg", ROOT / "docs" / "architecture.md"
PUBLIC, HARNESS, INK, LINE = "#dcebf7", "#f3f1ea", "#1d2733", "#7d8a99"
WIDTH, ROW, BOX, TALL = 860, 58, 92, 28
OUT_OF_DATE = 5
Imports = Mapping[str, Collection[str]]


def imports() -> Imports:
    """Return what each package, or public module at the top of ltbench, imports of the others."""
    graph = grimp.build_graph("ltbench", cache_dir=None)
    rooms: dict[str, set[str]] = {}
    for module in graph.modules:
        room = _room(module)
        targets = {_room(imported) for imported in graph.find_modules_directly_imported_by(module)}
        rooms.setdefault(room, set()).update(targets - {room, ""})
    return {room: targets for room, targets in rooms.items() if room not in ("", "__main__")}


def _room(module: str) -> str:
    return module.partition(".")[2].partition(".")[0]


def rows(graph: Imports) -> list[list[str]]:
    """Return the packages from top to bottom, each above all that it imports. Raises `CycleError` for a circle."""
    TopologicalSorter(graph).prepare()

    @cache
    def height(room: str) -> int:
        return 1 + max((height(below) for below in graph[room]), default=-1)

    levels: dict[int, list[str]] = {}
    for room in sorted(graph):
        levels.setdefault(height(room), []).append(room)
    return [levels[level] for level in sorted(levels, reverse=True)]


def arrows(graph: Imports) -> list[tuple[str, str]]:
    """Return the imports that do not follow from others: the transitive reduction."""

    @cache
    def below(room: str) -> frozenset[str]:
        return frozenset(graph[room]).union(*(below(target) for target in graph[room]))

    return sorted(
        (room, target)
        for room, targets in graph.items()
        for target in targets
        if not any(target in below(other) for other in targets if other != target)
    )


def picture(graph: Imports) -> str:
    """Return the packages and arrows as SVG, the same bytes for the same imports."""
    place: dict[str, tuple[float, float]] = {}
    levels, edges = rows(graph), arrows(graph)
    for number, level in enumerate(levels):
        # A package stands below the mean of those that point at it, so that few arrows cross.
        above = {room: [place[a][0] for a, b in edges if b == room and a in place] for room in level}
        level.sort(key=lambda room: (sum(above[room]) / len(above[room]) if above[room] else WIDTH / 2, room))
        # Rows of one package step aside by turns; else an arrow that passes a row would run through its box.
        shift = (0.0, WIDTH / 6, -WIDTH / 6)[number % 3] if len(level) == 1 and 0 < number < len(levels) - 1 else 0.0
        for column, room in enumerate(level):
            place[room] = (WIDTH * (column + 1) / (len(level) + 1) + shift, ROW * number + TALL)
    height = ROW * len(levels)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="13">',
        "<title>The packages of ltbench; an arrow points from a package to one that it imports</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        (
            '<defs><marker id="tip" markerWidth="8" markerHeight="8" refX="7" refY="4" orient="auto">'
            f'<path d="M0 0 8 4 0 8z" fill="{LINE}"/></marker></defs>'
        ),
    ]
    for start, end in edges:
        (x1, y1), (x2, y2) = place[start], place[end]
        y1, y2 = y1 + TALL / 2, y2 - TALL / 2 - 1
        bend = (y2 - y1) / 2
        lines.append(
            f'<path d="M{x1:.0f} {y1:.0f}C{x1:.0f} {y1 + bend:.0f} {x2:.0f} {y2 - bend:.0f} {x2:.0f} {y2:.0f}" '
            f'fill="none" stroke="{LINE}" marker-end="url(#tip)"/>'
        )
    for room, (x, y) in sorted(place.items()):
        fill = HARNESS if _is_package(room) else PUBLIC
        lines.append(
            f'<rect x="{x - BOX / 2:.0f}" y="{y - TALL / 2:.0f}" width="{BOX}" height="{TALL}" rx="5" fill="{fill}" '
            f'stroke="{LINE}"/><text x="{x:.0f}" y="{y + 4:.0f}" fill="{INK}" text-anchor="middle">{escape(room)}</text>'
        )
    return "\n".join([*lines, "</svg>"]) + "\n"


def listed(graph: Imports) -> list[str]:
    """Return the list of the packages as lines of markdown, from top to bottom."""
    names = [room for level in rows(graph) for room in sorted(level)]
    lines = [f"| `{room}/` | {_sentence(room)} |" for room in names if _is_package(room)]
    public = [f"| `{room}.py` | {_sentence(room)} |" for room in names if not _is_package(room)]
    return ["", "| what a plugin imports | |", "|---|---|", *public, "", "| the harness | |", "|---|---|", *lines, ""]


def _is_package(room: str) -> bool:
    return (ROOT / "ltbench" / room).is_dir()


def _sentence(room: str) -> str:
    path = ROOT / "ltbench" / (f"{room}/__init__.py" if _is_package(room) else f"{room}.py")
    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").splitlines()[0]


def main() -> int:
    """Write the picture, or compare it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="fail where the picture is out of date")
    check = parser.parse_args().check
    try:
        graph = imports()
        drawn, table = picture(graph), listed(graph)
    except CycleError as error:
        print(f"imports run in a circle: {' -> '.join(error.args[1])}", file=sys.stderr)
        return OUT_OF_DATE
    page = PAGE.read_text(encoding="utf-8")
    for path, text in ((PICTURE, drawn), (PAGE, splice(page, "packages", lambda _: table, PAGE.name))):
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        if check:
            print(f"{path.name} is out of date; run: python scripts/draw_packages.py", file=sys.stderr)
            return OUT_OF_DATE
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
