from __future__ import annotations

import gzip
import os
import time
from pathlib import Path

import pytest

from ltbench.core import compressed_file
from ltbench.core.generated_files import read_text
from ltbench.records.written_files import write_atomic

CONTENT = b"0123456789 a line\n" * 50


def test_the_size_of_the_content_alone_decides_on_the_form(tmp_path: Path) -> None:
    plain, packed = tmp_path / "table.csv", tmp_path / "table.csv.gz"
    most = b"x" * compressed_file.LIMIT
    for given in (plain, packed):
        assert compressed_file.forms(given) == (plain, packed)
        assert compressed_file.form_for(given, most) == plain
        assert compressed_file.form_for(given, most + b"x") == packed


def test_the_same_content_is_compressed_to_the_same_bytes_at_any_time(monkeypatch: pytest.MonkeyPatch) -> None:
    first = compressed_file.packed(Path("a.gz"), CONTENT)
    monkeypatch.setattr(time, "time", lambda: 2e9)
    assert compressed_file.packed(Path("folder/b.gz"), CONTENT) == first
    assert first[3:8] == bytes(5)  # neither a name nor a date
    assert gzip.decompress(first) == CONTENT


def test_a_file_that_another_zlib_compressed_is_the_same_file(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl.gz"
    path.write_bytes(gzip.compress(CONTENT, compresslevel=1, mtime=7))
    before = path.read_bytes()
    assert before != compressed_file.packed(path, CONTENT)
    assert not write_atomic(path, CONTENT)
    assert path.read_bytes() == before
    assert read_text(path) == CONTENT.decode()
    assert write_atomic(path, CONTENT[1:])


def test_a_damaged_file_is_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "table.csv.gz"
    path.write_bytes(compressed_file.packed(path, CONTENT)[:40])
    assert read_text(path) == ""
    assert write_atomic(path, CONTENT)
    assert compressed_file.read(path) == CONTENT


@pytest.mark.parametrize("clock", [-3600, 0, 3600], ids=["behind", "the same", "ahead"])
def test_what_is_written_last_counts_whatever_the_clock_says(tmp_path: Path, clock: float) -> None:
    for old, new in (("r.jsonl", "r.jsonl.gz"), ("r.jsonl.gz", "r.jsonl")):
        folder = tmp_path / old
        folder.mkdir()
        (folder / old).write_bytes(b"old")
        os.utime(folder / old, (time.time() + clock,) * 2)
        (folder / new).write_bytes(b"new")
        compressed_file.outdate(folder / old, folder / new)
        assert compressed_file.stored(folder / "r.jsonl") == folder / new
