"""Tables of commands fit the window."""

from __future__ import annotations

import pytest
from support import call

from ltbench.cli.output import print_fact, print_prose, print_table, print_wrapped

HEAD = ["name", "kind", "notes", "about"]
ROWS = [
    ["a", "x", "n" * 30, "one two three four five six seven eight nine ten eleven twelve"],
    ["long-name", "y", "", "short"],
    ["b", "z", "n", ""],
]


def printed(capsys: pytest.CaptureFixture[str], width: int | None, monkeypatch: pytest.MonkeyPatch, **options) -> str:
    monkeypatch.setenv("COLUMNS", str(width or ""))
    print_table(HEAD, ROWS, **options)
    return capsys.readouterr().out


@pytest.mark.parametrize("width", [20, 40, 60, 80, 120, 200])
def test_no_line_is_longer_than_the_window_and_nothing_of_the_last_column_is_lost(
    width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = printed(capsys, width, monkeypatch, optional=["notes"]).splitlines()
    assert max(map(len, lines)) <= width
    assert all(line == line.rstrip() for line in lines)
    assert [word for word in " ".join(lines).split() if word in ROWS[0][3].split()] == ROWS[0][3].split()


def test_the_last_column_continues_below_itself(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = printed(capsys, 60, monkeypatch, optional=["notes"])
    assert text.splitlines()[:4] == [
        "name       kind  about",
        "---------  ----  -------------------------------------------",
        "a          x     one two three four five six seven eight",
        "                 nine ten eleven twelve",
    ]


def test_columns_that_do_not_fit_beside_each_other_are_below(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert printed(capsys, 40, monkeypatch).splitlines()[5:9] == [
        "a          x",
        "    nnnnnnnnnnnnnnnnnnnnnnnnnnnnnn",
        "    one two three four five six seven",
        "    eight nine ten eleven twelve",
    ]


def test_a_pipe_has_whole_lines(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    lines = printed(capsys, None, monkeypatch, optional=["notes"]).splitlines()
    assert len(lines) == 2 + len(ROWS)
    assert lines[2].endswith(ROWS[0][3])


@pytest.mark.parametrize("width", [40, 80, 120, 200])
@pytest.mark.parametrize("command", [["list"], ["list", "dataset"], ["list", "method"], ["check", "tta"]])
def test_commands_fit_the_window(command: list[str], width: int) -> None:
    lines = call(*command, width=width).output.splitlines()
    assert max(map(len, lines)) <= width, [line for line in lines if len(line) > width]


@pytest.mark.parametrize("width", [40, 80])
def test_the_list_of_a_stage_has_all_parameters_in_any_window(width: int) -> None:
    words = call("list", "dataset", width=width).stdout.split()
    assert {"test_fraction=0.25,", "balanced_test=true", "white=0,", "classes=even"} <= set(words)
    assert "" not in call("list", "dataset", width=width).stdout.splitlines()


@pytest.mark.parametrize("width", [80, 120, 200])
@pytest.mark.parametrize(
    "command",
    [
        ["plan", "--all", "--held-out", "0.1"],
        ["plan", "--strategy", "screen", "--plugins", "cb_sampler,mixup,balanced_softmax,tta,drw"],
        ["show", "ldam"],
        ["show", "sade"],
    ],
)
def test_plans_and_descriptions_fit_a_usual_terminal(command: list[str], width: int) -> None:
    lines = call(*command, width=width).output.splitlines()
    assert max(map(len, lines)) <= width, [line for line in lines if len(line) > width]


def test_parameters_are_shown_with_what_is_worth_tuning() -> None:
    titles, _, gamma = call("show", "focal", width=200).stdout.splitlines()[-3:]
    assert [*titles.split(), *gamma.split()[:8]] == [
        "parameter", "default", "allowed", "tuned", "meaning",
        "gamma", "2", "float", ">=", "0", "0.5", "to", "5",
    ]  # fmt: skip


def test_without_anything_to_tune_there_is_no_column_of_it() -> None:
    assert "tuned" not in call("show", "experts", width=200).stdout


def test_a_list_is_wrapped_item_by_item_and_a_formula_keeps_its_lines(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    print_prose(
        "One two three\nfour five six.\n\n    a formula of = some length\n\n- one two three\n  four\n- five\nSource: me."
    )
    assert capsys.readouterr().out.splitlines() == [
        "One two three four",
        "five six.",
        "",
        "    a formula of = some length",
        "",
        "- one two three four",
        "- five",
        "Source: me.",
    ]


def test_a_fact_continues_below_its_text(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    print_fact("left out    one two three four five")
    assert capsys.readouterr().out == "left out    one two three four\n" + " " * 14 + "five\n"


def test_a_paragraph_fits_the_window(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    print_wrapped("seen  one two three four", indent=" " * 6)
    assert capsys.readouterr().out == "seen  one two three\n      four\n"
