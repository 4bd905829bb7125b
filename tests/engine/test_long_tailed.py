"""`ltbench.long_tailed`: the subsets of ltbench for code of one's own."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from plugins.checks import available
from support import python

import ltbench
from ltbench.core.folders import data_root
from ltbench.engine.subset import load
from ltbench.errors import DataError, LtbenchError, StoreError, UsageError
from ltbench.registry.registry import Registry, UnknownTechnique
from ltbench_plugins.datasets.cifar10 import Cifar10
from ltbench_plugins.datasets.cifar100 import Cifar100


@pytest.fixture
def subset():
    return ltbench.long_tailed("fashion_mini", imbalance_factor=50, seed=3)


def test_it_has_the_images_of_a_training_in_their_order(subset) -> None:
    registry, root = Registry.load(), data_root()
    source, tail = registry.parse("fashion_mini"), registry.parse("exp")
    spec = {
        "dataset": registry.spec(source), "profile": registry.spec(tail), "imbalance_factor": 50, "subset_seed": 3,
        "fingerprint": source.info(root).fingerprint,
    }  # fmt: skip
    trained = load(spec, registry, root)
    images, labels = subset.arrays()
    assert torch.equal(torch.from_numpy(images), trained.images)
    assert torch.equal(torch.from_numpy(labels), trained.labels)
    assert subset.counts.tolist() == trained.counts.tolist() == sorted(subset.counts.tolist(), reverse=True)
    assert subset.classes == trained.info.classes


@pytest.mark.data
@pytest.mark.parametrize("dataset", [Cifar10, Cifar100])
def test_it_is_the_subset_of_the_literature(dataset) -> None:
    available(dataset())
    from plugins.datasets.test_cifar import CONSTANTS

    indices = ltbench.long_tailed(dataset.name, imbalance_factor=100).indices
    found = hashlib.sha256(indices.astype("<i8").tobytes()).hexdigest()[:16]
    assert found == CONSTANTS["fingerprints"][dataset.name]["100"]


def test_it_is_a_data_set_of_torch(subset) -> None:
    image, label = subset[0]
    assert (image.mode, image.size, label) == ("L", (28, 28), int(subset.targets[0]))
    assert np.array_equal(np.asarray(image), subset.arrays()[0][0, 0])
    with_tensors = ltbench.long_tailed(
        "fashion_mini", imbalance_factor=50, seed=3, transform=lambda one: torch.from_numpy(np.array(one))
    )
    batches = list(torch.utils.data.DataLoader(with_tensors, batch_size=len(subset)))
    assert len(batches) == 1
    assert torch.equal(batches[0][0], torch.from_numpy(subset.arrays()[0][:, 0]))
    assert batches[0][1].tolist() == subset.targets.tolist()


def test_test_images_are_all_of_them() -> None:
    tested = ltbench.long_tailed("fashion_mini", split="test")
    assert tested.counts.tolist() == [200] * 10
    assert len(tested) == 2000


def test_colour_images_are_in_colour() -> None:
    from ltbench.engine.long_tailed import LongTailed

    pixels = np.arange(2 * 3 * 4 * 4, dtype=np.uint8).reshape(2, 3, 4, 4)
    one = LongTailed(pixels, np.array([1]), np.array([0]), ("a",), {})
    assert one[0][0].mode == "RGB"
    assert np.asarray(one[0][0]).transpose(2, 0, 1).tolist() == pixels[1].tolist()


def test_the_same_setting_has_the_same_fingerprint_and_another_seed_another(subset) -> None:
    again = ltbench.long_tailed("fashion_mini", imbalance_factor=50, seed=3)
    assert again.fingerprint == subset.fingerprint
    assert ltbench.long_tailed("fashion_mini", imbalance_factor=50).fingerprint != subset.fingerprint


def test_indices_can_be_saved(subset, tmp_path: Path) -> None:
    subset.save(tmp_path / "s.npy")
    assert np.array_equal(np.load(tmp_path / "s.npy", allow_pickle=False), subset.indices)
    subset.save(str(tmp_path / "s.json"))
    facts = json.loads((tmp_path / "s.json").read_text())
    assert facts["indices"] == subset.indices.tolist()
    assert facts["labels"] == subset.targets.tolist()
    assert (facts["dataset"], facts["seed"], facts["imbalance_factor"]) == ("fashion_mini", 3, 50)
    with pytest.raises(UsageError, match="neither"):
        subset.save(tmp_path / "s.csv")
    with pytest.raises(StoreError, match=r"s\.npy cannot be written"):
        subset.save(tmp_path / "missing" / "s.npy")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"dataset": "fashion"}, UnknownTechnique), ({"profile": "cifar10"}, UsageError), ({"imbalance_factor": 0.5}, UsageError),
        ({"imbalance_factor": "x"}, UsageError), ({"imbalance_factor": 1e9}, DataError), ({"seed": -1}, UsageError),
        ({"seed": "a"}, UsageError), ({"split": "val"}, UsageError), ({"dataset": "cifar10", "data_root": "nowhere"}, DataError),
        ({"dataset": "fashion_mini[x=1]"}, LtbenchError), ({"dataset": ["fashion_mini"]}, UsageError), ({"profile": None}, UsageError),
        ({"imbalance_factor": True}, UsageError), ({"seed": True}, UsageError), ({"imbalance_factor": float("nan")}, UsageError),
        ({"split": ["train"]}, UsageError),
    ],
)  # fmt: skip
def test_bad_input_is_an_error_that_says_so(changes: dict, error: type[LtbenchError]) -> None:
    with pytest.raises(error):
        ltbench.long_tailed(**({"dataset": "fashion_mini"} | changes))


def test_it_is_found_in_a_fresh_process() -> None:
    code = "import ltbench; f = ltbench.long_tailed; import ltbench.engine.long_tailed; assert ltbench.long_tailed is f; print(f.__name__)"
    assert python(code).stdout.strip() == "long_tailed"


def test_what_is_done_to_its_arrays_stays_there(subset) -> None:
    before = subset.fingerprint
    subset.indices[:], subset.targets[:] = subset.indices[::-1].copy(), 0
    tests = ltbench.long_tailed("fashion_mini", split="test")
    tests.targets[:] = 0
    assert subset.fingerprint != before
    assert ltbench.long_tailed("fashion_mini", imbalance_factor=50, seed=3).fingerprint == before
    assert ltbench.long_tailed("fashion_mini", split="test").targets.any()


def test_numbers_may_be_of_numpy(subset, tmp_path: Path) -> None:
    same = ltbench.long_tailed("fashion_mini", imbalance_factor=np.float32(50), seed=np.int64(3))
    for name, one in (("a.json", subset), ("b.json", same)):
        one.save(tmp_path / name)
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
