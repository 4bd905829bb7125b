from __future__ import annotations

import contextlib
import errno
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ltbench.core.folder_lock import FOLDER, locked
from ltbench.errors import StoreError

HOLD = """
import sys, time
from pathlib import Path
from ltbench.core.folder_lock import locked
with locked(Path(sys.argv[1]), print):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


@contextlib.contextmanager
def holder(path: Path, seconds: float) -> Iterator[subprocess.Popen[str]]:
    """Hold a lock in a process of its own for so long, or until that is killed."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(path), str(seconds)], stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_command_waits_and_says_so(tmp_path: Path) -> None:
    told: list[str] = []
    with holder(tmp_path / "page", 2) as process, locked(tmp_path / "page", told.append):
        assert process.wait() == 0
    assert told == [f"waiting for another command that is writing {tmp_path / 'page'}"]


def test_waiting_ends_with_an_error_that_names_the_lock(tmp_path: Path) -> None:
    with (
        holder(tmp_path / "page", 60),
        pytest.raises(StoreError, match="being written by another command") as error,
        locked(tmp_path / "page", print, patience=0.1),
    ):
        pass
    assert str(tmp_path / FOLDER / "page") in str(error.value)


def test_a_lock_ends_with_its_process_and_other_folders_are_free(tmp_path: Path) -> None:
    with holder(tmp_path / "page", 60) as process, locked(tmp_path / "another", print, patience=0.1):
        process.kill()
        process.wait()
        with locked(tmp_path / "page", print, patience=0.1):
            pass


def test_two_names_of_a_folder_have_one_lock_and_git_ignores_it(tmp_path: Path) -> None:
    (tmp_path / "page").mkdir()
    (tmp_path / "link").symlink_to("page")
    with holder(tmp_path / "link", 60), pytest.raises(StoreError), locked(tmp_path / "page", print, patience=0.1):
        pass
    assert (tmp_path / FOLDER / ".gitignore").read_text() == "*\n"


def test_a_folder_beside_which_nothing_can_be_written_has_its_lock_inside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "page").mkdir()
    made = Path.mkdir

    # Who runs the tests may write everywhere.
    def refused(self: Path, *args: object, **kwargs: object) -> None:
        if self == tmp_path / FOLDER:
            raise PermissionError(errno.EACCES, "no")
        made(self, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "mkdir", refused)
    with locked(tmp_path / "page", print):
        assert (tmp_path / "page" / FOLDER / "page").is_file()
    with pytest.raises(StoreError), locked(tmp_path / "new", print):
        pass


def test_a_place_that_takes_no_lock_is_an_error_with_its_cause(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written") as error, locked(tmp_path / "file" / "page", print):
        pass
    assert error.value.why
