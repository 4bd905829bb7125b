"""The notes of a suite, the command that makes its records, and the plugins that these name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ltbench.leaderboard.suite_facts import SuiteFacts
from ltbench.leaderboard.tables.markdown import code, fenced, prose
from ltbench.records.plugins_needed import plugin_words, requirements, words_of
from ltbench.records.record import Record


def reproduce_lines(facts: SuiteFacts, records: Sequence[Record]) -> list[str]:
    """Return the section; without a command only the notes."""
    lines = [f"> {line}" for line in paragraph(facts.notes) if line] + ([""] if facts.notes.strip() else [])
    if not facts.own_command:
        return lines
    where = "[`records.jsonl`](records.jsonl) has every cell, [`table.csv`](table.csv) the whole table."
    return [*lines, "Reproduce it with", "", *fenced(facts.own_command, "sh"), "", *_needed(facts, records), where, ""]


def _needed(facts: SuiteFacts, records: Sequence[Record]) -> list[str]:
    """Return a sentence on plugins that records name. No command installs them: a record may name any package."""
    known = words_of(facts.own_command)
    files = [word for word in plugin_words(records)[1::2] if not any(Path(one).name == word for one in known)]
    named = [*requirements(records), *files]
    if not named:
        return []
    verb = "is not a part" if len(named) == 1 else "are no parts"
    which = ", ".join(map(code, named))
    return [f"The records name {which}, which {verb} of ltbench. Look at what you install: plugins are programs.", ""]


def paragraph(text: str) -> list[str]:
    """Return the text of a suite as a paragraph; nothing if it is empty."""
    return [prose(text), ""] if text.strip() else []
