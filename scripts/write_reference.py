"""Write what docs/reference/*.md says of the code: signatures, fields and docstrings, the checks, and the commands.

    python scripts/write_reference.py [--check]

A page has pairs of markers, `<!-- ltbench:reference WHAT -->` and `<!-- /ltbench:reference -->`. WHAT is the full name of a module, or
of a class, function or constant in one; after a colon it may name the only members that are shown (none after `NAME:`). Two more are
`commands` and `checks`. --check fails, with exit code 5, where a page is not the one of the code.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib import import_module
from itertools import pairwise
from pathlib import Path

import click

from ltbench.cli import group
from ltbench.core.generated_files import read_text, splice
from ltbench.testing import checks_by_stage

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "docs" / "reference"
OUT_OF_DATE = 5
WIDTH = 100
_BLOCK = re.compile(r"(<!-- ltbench:reference \S+ -->\n).*?(<!-- /ltbench:reference -->)", re.DOTALL)
_HEADING_OR_BLOCK = re.compile(r"^(?:(#+) |<!-- ltbench:reference)", re.MULTILINE)
_INDENTED = re.compile(r"(?:(?<=\n\n)|\A)((?: {4}.*\n|\n)* {4}.*)(?=\n|\Z)")
_LEAST = ("property", "classmethod", "staticmethod")


def page_text(page: Path) -> str:
    """Return the text of a page with what the code says now."""
    text = read_text(page)
    level, levels = 1, []
    for found in _HEADING_OR_BLOCK.finditer(_BLOCK.sub(r"\1\2", text)):
        if found[1]:
            level = len(found[1])
        else:
            levels.append(level + 1)
    below = iter(levels)
    return splice(
        text,
        "reference",
        lambda what: ["", *"\n\n".join(filter(None, _parts(what, next(below)))).split("\n"), ""],
        page.name,
    )


def _parts(what: str, level: int) -> Iterator[str]:
    """Yield paragraphs, headings of `level` and below, and blocks."""
    if what == "commands":
        yield from _commands()
    elif what == "checks":
        yield from _checks()
    else:
        name, colon, members = what.partition(":")
        only = members.split(",") if colon else None
        try:
            module = import_module(name)
        except ModuleNotFoundError:
            home, _, last = name.rpartition(".")
            yield from _thing(home, last, only, level)
        else:
            yield prose(ast.get_docstring(_module(name)) or "")
            for each in _members(name, getattr(module, "__all__", None)) if only is None else ():
                yield from _thing(name, each, None, level)


@cache
def _module(name: str) -> ast.Module:
    return ast.parse(Path(str(import_module(name).__file__)).read_text(encoding="utf-8"))


def _members(module: str, public: Sequence[str] | None) -> list[str]:
    documented = _documented(_module(module).body)
    return (
        [
            name
            for node in _module(module).body
            for name in _names(node)
            if not name.startswith("_") and (name in documented or isinstance(node, ast.ClassDef | ast.FunctionDef))
        ]
        if public is None
        else list(public)
    )


def _thing(module: str, name: str, only: Sequence[str] | None, level: int) -> Iterator[str]:
    """Yield what is said of a class, function or constant."""
    value = getattr(import_module(module), name)
    if name not in {each for node in _module(module).body for each in _names(node)}:
        module = value.__module__
    body = _module(module).body
    node = next(node for node in body if name in _names(node))
    lines = Path(str(import_module(module).__file__)).read_text(encoding="utf-8").splitlines()
    yield f"{'#' * level} `{name}`"
    if isinstance(node, ast.ClassDef):
        yield from _class(node, value, lines, only, level + 1)
    elif isinstance(node, ast.FunctionDef):
        yield _signature(node, lines)
        yield prose(ast.get_docstring(node) or "")
    else:
        yield prose(_documented(body)[name])


def _class(node: ast.ClassDef, value: type, lines: list[str], only: Sequence[str] | None, level: int) -> Iterator[str]:
    def wanted(name: str) -> bool:
        return name in only if only is not None else not name.startswith("_") and name != "stage"

    yield _signature(node, lines)
    yield prose(ast.get_docstring(node) or "")
    methods = {each.name: each for each in node.body if isinstance(each, ast.FunctionDef)}
    fields = {name: each for each in node.body for name in _names(each) if name not in methods}
    documented = _documented(node.body)
    if made := methods.get("__init__"):
        if said := ast.get_docstring(made):
            yield _signature(made, lines)
            yield prose(said)
        documented |= _documented(made.body)
        fields |= {name: each for each in made.body for name in _names(each) if name in documented}
    yield "\n".join(_field(name, each, documented.get(name, "")) for name, each in fields.items() if wanted(name))
    for name, method in methods.items():
        if wanted(name):
            yield f"{'#' * level} `{node.name}.{name}`"
            yield _signature(method, lines)
            # That of a base class where it has none of its own.
            yield prose(inspect.getdoc(getattr(value, name)) or "")


def _names(node: ast.stmt) -> list[str]:
    """Return the names that a statement defines, those of attributes of `self` included."""
    if isinstance(node, ast.ClassDef | ast.FunctionDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [
        target.id if isinstance(target, ast.Name) else target.attr
        for target in targets
        if isinstance(target, ast.Name | ast.Attribute)
    ]


def _documented(body: Sequence[ast.stmt]) -> dict[str, str]:
    """Return the texts that stand below what statements define."""
    return {
        name: inspect.cleandoc(below.value.value)
        for node, below in pairwise(body)
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) and isinstance(below.value.value, str)
        if not isinstance(node, ast.ClassDef | ast.FunctionDef)
        for name in _names(node)
    }


def _field(name: str, node: ast.stmt, said: str) -> str:
    """Return an item of a list: name, type and default, meaning."""
    text = name
    if isinstance(node, ast.AnnAssign):
        kind = node.annotation
        if (
            isinstance(kind, ast.Subscript)
            and ast.unparse(kind.value) == "Annotated"
            and isinstance(kind.slice, ast.Tuple)
        ):
            about = [
                word.value
                for call in kind.slice.elts[1:]
                if isinstance(call, ast.Call)
                for word in call.keywords
                if word.arg == "description"
            ]
            said = said or "".join(str(each.value) for each in about if isinstance(each, ast.Constant))
            kind = kind.slice.elts[0]
        text += f": {ast.unparse(kind)}"
    default = node.value if isinstance(node, ast.AnnAssign | ast.Assign) else None
    if default and "self." not in ast.unparse(node).partition("=")[0]:
        text += f" = {ast.unparse(default)}"
    return _explained([(text, said)])


def _signature(node: ast.ClassDef | ast.FunctionDef, lines: list[str]) -> str:
    """Return the first lines of a class or function as they are written, up to the colon."""
    shown = [f"@{text}" for each in node.decorator_list if (text := ast.unparse(each)) in _LEAST]
    written = []
    for line in lines[node.lineno - 1 : node.end_lineno]:
        written.append(re.sub(r"\s+# (?:fmt|type|noqa|pyright).*", "", line))
        if written[-1].endswith(":"):
            break
    text = "\n".join([*shown, textwrap.dedent("\n".join(written)).removesuffix(":")])
    return f"```py\n{text}\n```"


def prose(docstring: str) -> str:
    """Return a docstring in markdown: what it indents by four spaces is a block."""

    def block(found: re.Match[str]) -> str:
        text = textwrap.dedent(found[1])
        try:
            ast.parse(text)
        except SyntaxError:
            return f"```text\n{text}\n```"
        return f"```py\n{text}\n```"

    parts = re.split(r"(```.*?```)", _INDENTED.sub(block, docstring), flags=re.DOTALL)
    return "".join(part if part.startswith("```") else escaped(part) for part in parts)


def escaped(text: str) -> str:
    """Return the text with what markdown would take for emphasis or a tag escaped, outside of code."""
    return "`".join(
        part if number % 2 else re.sub(r"(?=[*<])", r"\\", part) for number, part in enumerate(text.split("`"))
    )


def _commands() -> Iterator[str]:
    """Yield a section for each command: description, usage, options."""
    whole = click.Context(group, info_name="ltbench", max_content_width=WIDTH, terminal_width=WIDTH)
    for name in group.list_commands(whole):
        command = group.get_command(whole, name)
        assert command is not None, "the command is in the list"
        context = click.Context(command, info_name=name, parent=whole, max_content_width=WIDTH, terminal_width=WIDTH)
        yield f"## {name}"
        for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
            # \b is click's mark for text that is not wrapped.
            kept = paragraph.startswith("\b\n")
            yield (
                f"```sh\n{paragraph.removeprefix(chr(8) + chr(10))}\n```"
                if kept
                else escaped(" ".join(paragraph.split()))
            )
        yield f"```sh\n{command.get_usage(context).removeprefix('Usage: ')}\n```"
        records = [parameter.get_help_record(context) for parameter in command.get_params(context)]
        yield _explained(record for record in records if record)
        first, *examples = (command.epilog or "").removeprefix("\b\n").split("\n")
        yield first
        yield "```sh\n" + textwrap.dedent("\n".join(examples)) + "\n```"


def _checks() -> Iterator[str]:
    """Yield a section for the checks of all techniques, and one for each stage."""
    for title, checks in {"every technique": checks_by_stage.COMMON, **checks_by_stage.CHECKS}.items():
        yield f"## {title[0].upper()}{title[1:]}"
        yield _explained((check.name, check.requirement) for check in checks)


def _explained(words: Iterable[tuple[str, str]]) -> str:
    return "\n".join(f"- `{word}`: {escaped(' '.join(meaning.split()))}".removesuffix(": ") for word, meaning in words)


def main() -> int:
    """Write the pages, or compare them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="fail where a page is out of date")
    check = parser.parse_args().check
    stale = {page: text for page in sorted(PAGES.glob("*.md")) if (text := page_text(page)) != read_text(page)}
    for page, text in stale.items():
        if check:
            print(f"docs/reference/{page.name} is out of date; run: python scripts/write_reference.py", file=sys.stderr)
            return OUT_OF_DATE
        page.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
