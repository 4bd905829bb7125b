"""`records.jsonl` or `records.jsonl.gz`: one of both, whatever happens."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from synthetic import record

from ltbench.core import compressed_file
from ltbench.errors import RecordError
from ltbench.records.locations import find_cell, location, named, published
from ltbench.records.records_file import (
    RecordsFile,
    read_records_file,
    records_file,
    records_path,
    write_records_file,
)

FEW = records_file([record()])
MANY = records_file([record(seed=seed) for seed in range(4)])


@pytest.fixture(autouse=True)
def limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the sizes of the two files."""
    monkeypatch.setattr(compressed_file, "LIMIT", 8_000)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def killed_before_it_removes(path: Path, content: RecordsFile) -> None:
    """Write a records file in a process that dies when it has to remove the other form."""
    child = os.fork()
    if not child:
        Path.unlink = lambda *_, **__: os._exit(9)  # type: ignore[method-assign]
        write_records_file(path, content)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 9


def test_a_folder_has_one_form_by_size_in_both_directions(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    for content, name in ((FEW, "records.jsonl"), (MANY, "records.jsonl.gz"), (FEW, "records.jsonl")):
        # Whichever name it is asked by.
        for asked in (path, path.with_name("records.jsonl.gz")):
            assert write_records_file(asked, content) == tmp_path / name
            assert names(tmp_path) == [name]
            assert records_path(tmp_path) == tmp_path / name
            assert read_records_file(tmp_path / name) == content


def test_a_file_of_another_name_keeps_its_name(tmp_path: Path) -> None:
    for name in ("mine.jsonl", "mine.jsonl.gz"):
        assert write_records_file(tmp_path / name, MANY) == tmp_path / name
        assert read_records_file(tmp_path / name) == MANY
    assert names(tmp_path) == ["mine.jsonl", "mine.jsonl.gz"]
    assert (tmp_path / "mine.jsonl.gz").stat().st_size < (tmp_path / "mine.jsonl").stat().st_size / 2


@pytest.mark.parametrize("ahead", [0.0, 3600.0])
@pytest.mark.parametrize(("before", "after"), [(FEW, MANY), (MANY, FEW)], ids=["grows", "shrinks"])
def test_a_kill_between_writing_and_removing_loses_nothing(
    tmp_path: Path, before: RecordsFile, after: RecordsFile, ahead: float
) -> None:
    old = write_records_file(tmp_path / "records.jsonl", before)
    os.utime(old, (old.stat().st_mtime + ahead,) * 2)  # as if written by a machine whose clock is ahead
    killed_before_it_removes(old, after)
    assert names(tmp_path) == ["records.jsonl", "records.jsonl.gz"]
    assert location(tmp_path).records_file() == after
    # The next writer leaves one of both, whichever it writes.
    for content in (before, after):
        folder = tmp_path / "again"
        folder.mkdir()
        for path in tmp_path.glob("records.*"):
            (folder / path.name).write_bytes(path.read_bytes())
            os.utime(folder / path.name, ns=(path.stat().st_mtime_ns,) * 2)
        write_records_file(folder / "records.jsonl", content)
        assert len(names(folder)) == 1
        assert location(folder).records_file() == content
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()


def test_a_compressed_folder_is_found_like_any_other(tmp_path: Path) -> None:
    write_records_file(tmp_path / "large" / "records.jsonl", MANY)
    write_records_file(tmp_path / "small" / "records.jsonl", FEW)
    assert [place.path.name for place in published(tmp_path)] == ["large", "small"]
    assert named("large", tmp_path) == [tmp_path / "large"]
    # By the name that it would have if it were small, too.
    for name in ("", "records.jsonl", "records.jsonl.gz"):
        assert location(tmp_path / "large" / name).records_file() == MANY
    wanted = MANY.records[-1]
    assert find_cell(wanted.id[:8], published(tmp_path)).record == wanted


def test_a_damaged_one_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = write_records_file(tmp_path / "records.jsonl", MANY)
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], whole[:-9] + bytes(9), whole[:100] + b"\xff" * 20 + whole[120:]):
        path.write_bytes(content)
        with pytest.raises(RecordError, match=r"records\.jsonl\.gz cannot be read") as caught:
            read_records_file(path)
        assert "version control" in caught.value.fix
