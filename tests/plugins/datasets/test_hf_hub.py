"""Data sets of the Hugging Face Hub, by name."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from plugins.datasets.small_photos import write_photos
from plugins.datasets.test_hf_folder import table

from ltbench.errors import DataError
from ltbench_plugins.datasets import _folders, hf_hub
from ltbench_plugins.datasets.hf_folder import HfFolder
from ltbench_plugins.datasets.hf_hub import HfHub

datasets = pytest.importorskip("datasets")


@pytest.fixture(autouse=True)
def fresh_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_folders, "_described", {})
    monkeypatch.setattr(hf_hub, "_opened", {})


def test_it_is_the_data_set_that_the_library_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write_photos(tmp_path)
    table(root).to_parquet(root / "hf" / "train.parquet")
    folder = HfFolder(path="hf", size=8, test_fraction=0.3).info(root)
    load, asked = datasets.load_dataset, []

    def from_hub(name: str, config: str | None, *, revision: str, cache_dir: str) -> object:
        asked.append((name, config, revision))
        return load(str(root / "hf"), cache_dir=cache_dir)

    monkeypatch.setattr(datasets, "load_dataset", from_hub)
    hub = HfHub(path="me/photos", config="small", ref="1a2b", size=8, test_fraction=0.3)
    assert hub.info(root).fingerprint == folder.fingerprint
    assert hub.info(root).train_counts == folder.train_counts
    assert asked == [("me/photos", "small", "1a2b")]  # once for a process
    assert not HfHub.reads(root / "hf")


def test_without_name_library_or_network_it_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="hf_hub has no path"):
        HfHub().info(tmp_path)

    def offline(*_: object, **__: object) -> None:
        raise ConnectionError("no route to host")

    monkeypatch.setattr(datasets, "load_dataset", offline)
    with pytest.raises(DataError, match="cannot be read from the Hugging Face Hub") as error:
        HfHub(path="me/photos").info(tmp_path)
    assert "no route to host" in error.value.why
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DataError, match="hf_hub needs the package datasets"):
        HfHub(path="me/photos").info(tmp_path)
