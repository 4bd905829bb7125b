"""A page says which of its cells lack a metric that others have, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from synthetic import provenance, publish, raw

from ltbench.leaderboard.page.missing_metrics import missing_metrics
from ltbench.leaderboard.publish import load
from ltbench.leaderboard.suite_facts import SuiteFacts
from ltbench.records.record import seal, validate

ERROR = {
    "type": "JobFailed",
    "message": "metric 'gmean' of own-pkg 1.2 raised ZeroDivisionError: x",
    "log": "Traceback\nx",
}


def made(
    seed: int,
    techniques: Mapping[str, str] = {},
    *,
    gmean: float | None = None,
    revision: int = 1,
    failed: bool = False,
) -> dict[str, object]:
    """Return a sealed record, with a number of the metric gmean if one is given."""
    record = raw(techniques, seed=seed, scores={} if gmean is None else {"gmean": gmean})
    if gmean is not None:
        record["plugins"] += [provenance("gmean", "metric", distribution="own-pkg", revision=revision)]
    if failed:
        record["failed_metrics"] = {"gmean": ERROR}
    return seal(record)


def page(folder: Path, records: Iterable[Mapping[str, object]]) -> str:
    publish(folder, SuiteFacts(name="tiny", seeds=((0, 0), (1, 1))), records)
    return (folder / "README.md").read_text()


def test_a_page_whose_records_have_the_same_metrics_says_nothing(tmp_path: Path) -> None:
    text = page(tmp_path, [made(0, gmean=0.5), made(1, gmean=0.6)])
    assert "Missing metrics" not in text
    assert "failed_metrics" not in (tmp_path / "records.jsonl").read_text()


def test_rows_that_lack_a_metric_have_a_note_and_the_page_a_list(tmp_path: Path) -> None:
    mixed = {"mix": "mixup"}
    text = page(tmp_path, [made(0, gmean=0.5), made(1), made(0, mixed), made(1, mixed)])
    assert "metric gmean is missing from 1 of 2 runs" in text
    assert "- <sup>2</sup> metric gmean is missing\n" in text
    assert "- metric 'gmean' is missing from 3 cells, which were made without it\n" in text
    assert "  - baseline at imbalance factor 100 (fashion_mini): seed 1\n" in text
    assert "  - mixup at imbalance factor 100 (fashion_mini): seeds 0, 1\n" in text


def test_a_metric_that_failed_is_named_with_its_error_and_log(tmp_path: Path) -> None:
    text = page(tmp_path, [made(0, failed=True), made(1, failed=True)])
    assert "- metric 'gmean' failed in 2 cells: metric 'gmean' of own-pkg 1.2 raised ZeroDivisionError: x" in text
    assert "<summary>Log of metric gmean</summary>" in text
    assert "metric gmean is missing\n" in text
    row = load(tmp_path).boards[0].tables[0].rows[0]
    assert (row.n, row.notes) == (2, ("metric gmean is missing",))


def test_an_earlier_revision_among_later_ones_is_said(tmp_path: Path) -> None:
    records = [made(0, gmean=0.5), made(1, gmean=0.4, revision=2)]
    (found,) = missing_metrics(map(validate, records))
    assert (found.name, found.revision, [record.setting.seed for record in found.cells]) == ("gmean", 1, [0])
    assert "is of revision 1 in 1 cell, and of a later one in others" in page(tmp_path, records)
