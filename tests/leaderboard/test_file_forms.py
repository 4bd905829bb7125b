"""The files of a large page are compressed, and everything else is as of a small one."""

from __future__ import annotations

import gzip
from pathlib import Path

import pandas as pd
import pytest
import synthetic
from synthetic import publish

from ltbench.core import compressed_file
from ltbench.errors import OutOfDate
from ltbench.leaderboard.publish import check, load, update
from ltbench.leaderboard.suite_facts import SuiteFacts

RECORDS = synthetic.suite(factors=(10.0, 100.0), seeds=(0, 1), names=("mixup", "tta"))
FACTS = SuiteFacts(name="quick", title="Quick", command="ltbench run", seeds=((0, 0), (1, 1)))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A published page whose records and table are large, and its effects are not."""
    monkeypatch.setattr(compressed_file, "LIMIT", 3_000)
    publish(tmp_path / "leaderboards" / "quick", FACTS, RECORDS)
    return tmp_path / "leaderboards" / "quick"


def state(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_page_links_the_files_that_there_are(folder: Path) -> None:
    assert sorted(state(folder)) == ["README.md", "effects.csv", "records.jsonl.gz", "suite.json", "table.csv.gz"]
    text = (folder / "README.md").read_text()
    assert "[`records.jsonl.gz`](records.jsonl.gz) has every cell" in text
    assert "[`table.csv.gz`](table.csv.gz) the whole table" in text
    assert "](table.csv)" not in text
    assert load(folder).records == sorted(RECORDS, key=lambda one: one.order)
    assert len(pd.read_csv(folder / "table.csv.gz")) == 4 * 3
    check(folder.parent)


def test_records_in_the_wrong_form_are_out_of_date_and_update_changes_it(folder: Path) -> None:
    right = state(folder)
    packed = folder / "records.jsonl.gz"
    (folder / "records.jsonl").write_bytes(gzip.decompress(packed.read_bytes()))
    # Both there, as after a kill; then only the wrong one.
    for _ in range(2):
        with pytest.raises(OutOfDate, match=r"records\.jsonl"):
            check(folder.parent)
        assert folder / "records.jsonl" in update(folder.parent)
        assert state(folder) == right
        (folder / "records.jsonl").write_bytes(gzip.decompress(packed.read_bytes()))
        packed.unlink()


def test_a_page_that_shrinks_has_plain_files_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    large = (folder / "README.md").read_text()
    monkeypatch.setattr(compressed_file, "LIMIT", 1_000_000)
    with pytest.raises(OutOfDate, match=r"table\.csv\.gz"):
        check(folder.parent)
    update(folder.parent)
    assert sorted(state(folder)) == ["README.md", "effects.csv", "records.jsonl", "suite.json", "table.csv"]
    assert (folder / "README.md").read_text() == large.replace(".jsonl.gz", ".jsonl").replace(".csv.gz", ".csv")
    check(folder.parent)
