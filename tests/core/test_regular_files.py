from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from ltbench.core.atomic_files import check_regular, replace
from ltbench.errors import RecordError, StoreError
from ltbench.records.json_file import read_json
from ltbench.records.written_files import write_atomic


@pytest.fixture
def odd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """Return a path of each kind that is no regular file."""
    (tmp_path / "target").write_text("stays")
    (tmp_path / "link").symlink_to("target")
    (tmp_path / "nowhere").symlink_to("missing")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.chdir(tmp_path)  # names of sockets are short
    with socket.socket(socket.AF_UNIX) as made:
        made.bind("socket")
    kinds = {"a symbolic link": "link", "a folder": "folder", "a pipe": "pipe", "a socket": "socket"}
    return {kind: tmp_path / name for kind, name in kinds.items()} | {"a device": Path("/dev/full")}


def test_nothing_but_a_regular_file_is_replaced(odd: dict[str, Path], tmp_path: Path) -> None:
    before = {path: path.lstat() for path in odd.values()}
    for kind, path in odd.items():
        for write in (write_atomic, replace):
            with pytest.raises(StoreError, match="cannot be written") as error:
                write(path, b"new")
            assert kind in error.value.why
    assert {path: (one.st_ino, one.st_mode) for path, one in before.items()} == {
        path: (path.lstat().st_ino, path.lstat().st_mode) for path in odd.values()
    }
    with pytest.raises(StoreError):
        write_atomic(tmp_path / "nowhere", b"new")
    assert (tmp_path / "target").read_text() == "stays"
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    check_regular(tmp_path / "new")


def test_nothing_but_a_regular_file_is_read(odd: dict[str, Path]) -> None:
    for kind in ("a folder", "a pipe", "a device"):
        with pytest.raises(RecordError, match="cannot be read"):
            read_json(odd[kind], dict, "it cannot be read")
