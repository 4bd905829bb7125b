"""Directives that generate parts of the reference from the code: commands with their options, and checks."""

from __future__ import annotations

import inspect
from collections.abc import Iterable

import click
from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from ltbench.cli import group
from ltbench.testing import checks_by_stage
from ltbench.testing.check import Check

WIDTH = 100


class Commands(SphinxDirective):
    """A section for each command: description, usage and options."""

    def run(self) -> list[nodes.Node]:
        """Return the sections."""
        whole = click.Context(group, info_name="ltbench", max_content_width=WIDTH, terminal_width=WIDTH)
        return [self._section(name, whole) for name in group.list_commands(whole)]

    def _section(self, name: str, whole: click.Context) -> nodes.section:
        command = group.get_command(whole, name)
        assert command is not None, "the command is in the list"
        context = click.Context(command, info_name=name, parent=whole, max_content_width=WIDTH, terminal_width=WIDTH)
        section = titled(f"ltbench {name}", name)
        for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
            # \b is click's mark for text that is not wrapped.
            kept = paragraph.startswith("\b\n")
            text = paragraph.removeprefix("\b\n")
            section += nodes.literal_block(text, text) if kept else nodes.paragraph("", " ".join(text.split()))
        usage = command.get_usage(context).removeprefix("Usage: ")
        section += nodes.literal_block(usage, usage, language="text")
        records = [parameter.get_help_record(context) for parameter in command.get_params(context)]
        section += explained(record for record in records if record)
        return section


class Checks(SphinxDirective):
    """A section for the checks of all techniques, and one for each stage."""

    def run(self) -> list[nodes.Node]:
        """Return the sections."""
        return [
            _checks("Every technique", checks_by_stage.COMMON),
            *(_checks(*of) for of in checks_by_stage.CHECKS.items()),
        ]


def _checks(title: str, checks: Iterable[Check]) -> nodes.section:
    section = titled(title[0].upper() + title[1:], nodes.make_id(title))
    section += explained((check.name, check.requirement) for check in checks)
    return section


def titled(title: str, anchor: str) -> nodes.section:
    """Return an empty section."""
    return nodes.section("", nodes.title("", title), ids=[anchor], names=[nodes.fully_normalize_name(title)])


def explained(words: Iterable[tuple[str, str]]) -> nodes.definition_list:
    """Return a definition list. Code in a meaning is written in backticks."""
    made = nodes.definition_list()
    for word, meaning in words:
        parts = " ".join(meaning.split()).split("`")
        said = [nodes.literal("", part) if number % 2 else nodes.Text(part) for number, part in enumerate(parts)]
        term = nodes.term("", "", nodes.literal("", word))
        made += nodes.definition_list_item("", term, nodes.definition("", nodes.paragraph("", "", *said)))
    return made
