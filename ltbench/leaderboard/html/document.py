"""Assemble the file: page, style, scripts, charting library and data."""

from __future__ import annotations

import html
import re
import shlex
from collections.abc import Sequence
from importlib import resources

from ltbench import __version__
from ltbench.core.printable import printable
from ltbench.leaderboard.html.content import reference_of, report_content
from ltbench.leaderboard.html.embedded_json import compressed, compressed_json, script_json
from ltbench.leaderboard.html.vega import library
from ltbench.leaderboard.publish import SuiteFolder
from ltbench.leaderboard.tables.cell_text import reference_text

SCRIPTS = (
    "dom.js", "data.js", "state.js", "controls.js", "answer.js", "table.js", "charts.js", "compare.js",
    "matrices.js", "cost.js", "effects.js", "traces.js", "main.js",
)  # fmt: skip
"""One module in this order: a file may use what earlier ones define."""
_SLOT = re.compile(r"<!--slot (\w+)-->")


def document(loaded: SuiteFolder) -> str:
    """Return the report of a suite's folder as one HTML file: the same text for the same records.

    Raises `MissingExtra` if the charting library is not installed.
    """
    made = report_content(loaded)
    facts = loaded.facts
    slots = {
        "title": _text(facts.title or facts.name),
        "question": _paragraph(facts.question, "question"),
        "answer": _answer(made.answer),
        "notes": _paragraph(facts.notes, "notes"),
        "command": _command(loaded),
        "reference": _text(reference_text(reference_of(loaded))),
        "version": _text(__version__),
        "style": _asset("style.css"),
        "scripts": "\n".join(_asset(name) for name in SCRIPTS),
        "library": compressed(library().encode()),
        "core": compressed_json(made.core),
        "lines": script_json(made.lines),
        "matrices": script_json(made.matrices),
        "traces": script_json(made.traces),
    }
    # In one pass, so that text of a record which looks like a slot is not replaced.
    return _SLOT.sub(lambda slot: slots[slot[1]], _asset("page.html"))


def _answer(sentences: Sequence[str]) -> str:
    """Return the answer as paragraphs, or that there are no records."""
    none = "No results yet. The command below makes them."
    return "\n      ".join(f"<p>{_text(sentence)}</p>" for sentence in sentences or [none])


def _command(loaded: SuiteFolder) -> str:
    """Return the command that makes the records; nothing where they were merged from elsewhere without one."""
    # A folder without records is that of a suite that was not run yet.
    name = shlex.quote(loaded.facts.name)
    command = loaded.facts.own_command or ("" if loaded.records else f"ltbench run --suite {name}")
    text = _text(command)
    return f'<p>Reproduce them with</p>\n    <pre class="command" tabindex="0">{text}</pre>' if text else ""


def _text(text: str) -> str:
    """Return text of records and suites for HTML."""
    return html.escape(printable(text))


def _paragraph(text: str, kind: str) -> str:
    words = " ".join(text.split())
    return f'<p class="{kind}">{_text(words)}</p>' if words else ""


def _asset(name: str) -> str:
    return (resources.files(__package__) / "assets" / name).read_text(encoding="utf-8").rstrip()
