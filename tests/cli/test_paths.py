"""Paths without a name on the command line: an empty text, the working directory, the root."""

from __future__ import annotations

from pathlib import Path

import pytest

from ltbench.cli import main

READING = (
    "verify {}", "leaderboard {}", "merge {} --into page", "compare {} {}", "export {} --format csv", "report {}", "predict {} {}",
    "export-model best model --page {}", "invalidate abc --reason leak --records {}", "run --cell abcd --records {}", "recommend {}",
    "data {}", "plan --suite {}", "plan --plugin-file {}", "list --check {}", "show {}",
)  # fmt: skip
EMPTY = (
    "run --store {}", "run --leaderboards {}", "run --data-root {}", "search quick --store {}", "export quick --output {}",
    "export quick --to-hub-folder {}", "export-model best {}", "report quick --output {}", "merge quick --into {}",
    "new loss my_loss --output {}", "show tta --figure {}", "publish quick --readme {}", "predict m i --csv {}", "plan --log-file {}",
)  # fmt: skip


def refused(command: str, path: str) -> None:
    """Run a command that has to end with the exit code of an error."""
    with pytest.raises(SystemExit) as caught:
        main([word.format(path) for word in command.split()])
    assert caught.value.code in (1, 2, 4)


@pytest.mark.parametrize("path", ["", ".", "/", ".."])
@pytest.mark.parametrize("command", READING)
def test_what_is_no_file_of_records_is_refused_with_a_message(
    command: str, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    refused(command, path)
    error = capfd.readouterr().err
    assert "Traceback" not in error
    assert error
    assert not list((tmp_path / "here").iterdir())


@pytest.mark.parametrize("command", EMPTY)
def test_nothing_is_written_to_the_working_directory_for_an_empty_path(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    refused(command, "")
    assert "an empty text is no path" in capfd.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "option", ["datasets", "profiles", "models", "imbalance-factors", "seeds", "executor", "observe"]
)
def test_an_empty_list_or_name_is_not_that_of_the_suite(
    option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as caught:
        main(["run", "--suite", "quick", f"--{option}", ""])
    assert caught.value.code == 2
    assert "is empty" in capfd.readouterr().err
    assert not list(tmp_path.iterdir())
