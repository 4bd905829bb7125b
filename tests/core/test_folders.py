"""Folders of the store and of data sets."""

from __future__ import annotations

from pathlib import Path

import pytest

from ltbench.core.folders import data_root, store_root


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without folders, in an environment that names none."""
    for name in ("LTBENCH_DATA", "LTBENCH_STORE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_both_are_in_the_cache_folder(home: Path) -> None:
    assert data_root() == home / ".cache" / "ltbench" / "data"
    assert store_root() == home / ".cache" / "ltbench" / "store"


def test_another_cache_folder_is_respected(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "elsewhere"))
    assert store_root() == home / "elsewhere" / "ltbench" / "store"


def test_the_folder_of_an_earlier_version_is_found(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "elsewhere"))
    earlier = home / ".cache" / "ltbench" / "store"
    earlier.mkdir(parents=True)
    assert store_root() == earlier
    assert data_root() == home / "elsewhere" / "ltbench" / "data"
    (home / "elsewhere" / "ltbench" / "store").mkdir(parents=True)
    assert store_root() == home / "elsewhere" / "ltbench" / "store"


def test_a_variable_comes_before_both(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / ".cache" / "ltbench" / "data").mkdir(parents=True)
    monkeypatch.setenv("LTBENCH_DATA", str(home / "mine"))
    assert data_root() == home / "mine"
