"""Seeds that are no longer asked for are not missed."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import main_result, suite_source

from ltbench.records.records_file import read_records_file, records_file, write_records_file


def test_a_run_with_fewer_seeds_expects_only_those(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LTBENCH_STORE", "store")
    recipe = {"steps": 1, "batch_size": 4, "precision": "fp32"}
    Path("two.toml").write_text(suite_source("two", recipe, techniques=["tta"], figures=[], seeds=[0, 1]))

    def run(*args: str) -> str:
        code, out, _ = main_result(capsys, "run", "--suite", "two.toml", "--executor", "inline", *args)
        assert code == 0
        return out

    run()
    # As where a run was stopped before the first cell of the other seed.
    place = Path("leaderboards/local/two/records.jsonl")
    first = [record for record in read_records_file(place).records if record.setting.seed == 0]
    write_records_file(place, records_file(first))
    assert "1/2 seeds" in main_result(capsys, "leaderboard", "local/two")[1]
    # The suite is cut down to what there is: nothing is missing for ever.
    Path("two.toml").write_text(suite_source("two", recipe, techniques=["tta"], figures=[], seeds=[0]))
    assert "/2 seeds" not in run()
    page = Path("leaderboards/local/two/README.md").read_text()
    assert "1/2 seeds" not in page
    assert "Missing cells" not in page
