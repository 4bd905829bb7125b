"""Every command ends its help with examples, whose words it accepts."""

from __future__ import annotations

import shlex
from pathlib import Path

import click
import pytest
from support import call, suite_source

from ltbench.cli import COMMANDS, group
from ltbench.cli.examples import EXAMPLES

ROOT = Path(__file__).resolve().parents[2]
READS = ("plan --plugins", "list", "show mixup", "show quick", "check mixup", "leaderboard", "plugins", "cache", "data", "status", "doctor",
         "compare quick cb_sampler", "export quick --per-class", "verify quick")  # fmt: skip
"""Examples that only read, and need no files of the user's."""
LINES = [f"{name} {words}".strip() for name in COMMANDS for words in EXAMPLES[name]]


def test_every_command_has_one_to_three() -> None:
    assert list(EXAMPLES) == list(COMMANDS)
    assert {len(lines) for lines in EXAMPLES.values()} <= {1, 2, 3}


@pytest.mark.parametrize("name", COMMANDS)
def test_help_ends_with_them(name: str) -> None:
    lines = call(name, "--help").stdout.rstrip().splitlines()
    shown = [line.strip() for line in lines[-len(EXAMPLES[name]) :]]
    assert shown == [f"ltbench {name} {words}".strip() for words in EXAMPLES[name]]
    assert lines[-len(EXAMPLES[name]) - 1].strip() in {"Example:", "Examples:"}


@pytest.mark.parametrize("line", LINES)
def test_the_command_accepts_its_words(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("photos", "test-photos", "model", "other-machine/quick"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "mine.toml").write_text(suite_source("mine", {"steps": 1}))
    (tmp_path / "mine.py").write_text("")
    monkeypatch.chdir(tmp_path)
    name, *words = shlex.split(line)
    whole = click.Context(group, info_name="ltbench")
    command = group.get_command(whole, name)
    assert command is not None
    with command.make_context(name, words, parent=whole) as context:
        assert not context.args


@pytest.mark.parametrize("line", [line for line in LINES if line.startswith(READS)])
def test_an_example_that_only_reads_runs(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("LTBENCH_STORE", str(tmp_path / "store"))
    assert call(*shlex.split(line)).return_value in {None, 0}
