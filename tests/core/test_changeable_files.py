"""A file that another user could change is told from one that only this user, root or the groups of the user can change."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ltbench.core.changeable_files import weakness

STRANGER = 54321


@pytest.fixture
def file(tmp_path: Path) -> Path:
    tmp_path.chmod(0o755)
    folder = tmp_path / "shared folder"
    folder.mkdir(mode=0o755)
    path = folder / "plugin.py"
    path.write_text("")
    path.chmod(0o644)
    return path


@pytest.mark.parametrize(
    ("file_mode", "folder_mode"), [(0o644, 0o755), (0o664, 0o2775), (0o600, 0o700), (0o644, 0o1777)]
)
def test_what_others_cannot_change_has_no_weakness(file: Path, file_mode: int, folder_mode: int) -> None:
    file.chmod(file_mode)
    file.parent.chmod(folder_mode)
    assert weakness(file) is None


def test_a_file_that_everybody_may_write_is_named_with_its_fix(file: Path) -> None:
    file.chmod(0o646)
    found = weakness(file)
    assert found is not None
    assert found.where == file
    assert found.why == "every user of this machine may write there"
    assert f"chmod o-w '{file}'" in found.fix


def test_a_folder_that_everybody_may_write_is_named(file: Path) -> None:
    file.parent.chmod(0o777)
    found = weakness(file)
    assert found is not None
    assert found.where == file.parent


def test_a_link_that_everybody_may_replace_is_a_weakness_of_its_folder(file: Path, tmp_path: Path) -> None:
    place = tmp_path / "open"
    place.mkdir()
    place.chmod(0o777)
    (place / "link.py").symlink_to(file)
    found = weakness(place / "link.py")
    assert found is not None
    assert found.where == place


def test_a_link_to_a_file_that_everybody_may_write_is_a_weakness(file: Path, tmp_path: Path) -> None:
    file.chmod(0o666)
    (tmp_path / "link.py").symlink_to(file)
    assert weakness(tmp_path / "link.py") is not None


def test_a_missing_file_has_none(file: Path) -> None:
    assert weakness(file.with_name("missing.py")) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_stranger_who_owns_the_file_or_a_folder_could_change_it(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for one in (file, file.parent):
        os.chown(one, STRANGER, STRANGER)
        found = weakness(file)
        assert found is not None
        assert found.where == one
        assert f"another user (uid {STRANGER})" in found.why
        os.chown(one, 0, 0)
    os.chown(file, STRANGER, STRANGER)
    monkeypatch.setenv("SUDO_UID", str(STRANGER))  # whoever uses sudo works on files of his own
    assert weakness(file) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_file_of_a_member_of_the_same_group_is_fine(file: Path) -> None:
    os.chown(file, STRANGER, os.getegid())
    assert weakness(file) is None
