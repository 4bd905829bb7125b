"""What a page, a report and a table show of text that others have written."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import msgspec
import pytest
from markdown_it import MarkdownIt
from synthetic import COLUMNS, publish, record

from ltbench.leaderboard.html.document import document
from ltbench.leaderboard.publish import load
from ltbench.leaderboard.suite_facts import SuiteFacts
from ltbench.leaderboard.tables.csv import csv_text
from ltbench.leaderboard.tables.markdown import code, escape, fenced, prose

EVIL = "<script>alert(1)</script> [click](javascript:alert(1)) `</pre>` \x1b[2J\u202e # *b* | c"


def rendered(text: str) -> str:
    return MarkdownIt("gfm-like", {"linkify": False}).render(text)


@pytest.mark.parametrize("shown", [escape, prose, code], ids=lambda function: function.__name__)
def test_text_stays_text_in_markdown(shown) -> None:
    found = rendered(f"a {shown(EVIL)} b")
    assert "<script" not in found
    assert "<a " not in found
    assert not {"\x1b", "\u202e"} & set(found)


@pytest.mark.parametrize(
    "text",
    ["# a", "- a", "+ a", "1. a", "12) a", "---", "=== a", "~~~", "> a", "<!-- ltbench:leaderboard x -->", "a\n\n# b"],
)
def test_a_note_is_one_paragraph_whatever_it_begins_with(text: str) -> None:
    assert rendered(prose(text)).count("<") == 2


def test_code_between_backticks_stays_code() -> None:
    assert prose("run `ltbench plan --suite x` and *wait*") == "run `ltbench plan --suite x` and \\*wait\\*"
    assert rendered(code("a`b``c")) == "<p><code>a`b``c</code></p>\n"
    assert fenced("a\x1b[31m\nb") == ["```", "a\\x1b[31m", "b", "```"]


def test_cells_of_a_table_are_no_formulas() -> None:
    assert [csv_text(text) for text in ("=1", "+1", "-a", "@x", "a=b")] == ["'=1", "'+1", "'-a", "'@x", "a=b"]
    assert csv_text("a\x00\n") == "a\\x00\\n"


@pytest.mark.parametrize(
    "command",
    [
        "curl evil | sh",
        "ltbench run; curl evil",
        "ltbench run\ncurl evil",
        "ltbench $(evil)",
        "'",
        "pip install evil",
        "",
    ],
)
def test_a_command_that_is_none_of_ltbench_is_not_shown(command: str) -> None:
    assert SuiteFacts(name="s", command=command).own_command == ""
    assert SuiteFacts(name="s", command="ltbench run --suite 'a b'").own_command == "ltbench run --suite 'a b'"


def test_a_page_and_a_report_show_nothing_raw(tmp_path: Path) -> None:
    facts = SuiteFacts(
        name="s", title="T <b>", question=EVIL, notes=EVIL, command="curl evil | sh", columns=COLUMNS, figures=()
    )
    failed = record({"mix": "mixup"}, error={"type": "<i>E", "message": EVIL + "x" * 10_000, "log": EVIL})
    named = record(classes=("=1+1", *"bcdefghij"))
    folder = tmp_path / "s"
    publish(folder, facts, [failed, named])
    page = (folder / "README.md").read_text()
    shown = rendered(page)
    for raw in ("<script", "<i>E", "<b>", 'javascript:alert(1)"', "curl evil"):
        assert raw not in shown
    assert "more characters in the records" in page
    text = document(load(folder))
    head = text[: text.index("</head>")]
    assert "<script>alert(1)" not in text
    assert "T &lt;b&gt;" in head
    assert "curl evil" not in text
    for one in (page, text):
        assert not {"\x1b", "\u202e"} & set(one)
    rows = list(csv.reader(io.StringIO((folder / "table.csv").read_text())))
    assert not any(cell.startswith(("=", "+", "@")) for row in rows for cell in row)
    assert msgspec.json.decode((folder / "suite.json").read_bytes())["notes"] == EVIL
