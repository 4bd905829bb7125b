from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from tiny import CLASSES, SIZE, TRAIN, Tiny

from ltbench import Dataset, DatasetInfo, Ensemble, Images, Profile
from ltbench.engine import dataset_arrays
from ltbench.engine import subset as data
from ltbench.engine.dataset_arrays import prepare
from ltbench.engine.output_checks import check_indices
from ltbench.engine.subset import Subset, load, select_images
from ltbench.errors import DataError, JobFailed, UsageError
from ltbench.image_files.image_rows import ImageRows
from ltbench.longtail import subset_indices
from ltbench_plugins.profiles.exp import Exp


class Techniques:
    """A registry with two techniques."""

    def __init__(self, *techniques: Dataset | Profile) -> None:
        self.by_name = {technique.name: technique for technique in techniques}

    def build_as(self, spec, kind):
        return self.build(spec)

    def build(self, spec):
        return self.by_name[spec["name"]]


@pytest.fixture(autouse=True)
def fresh(monkeypatch) -> None:
    monkeypatch.setattr(Tiny, "loads", [])
    monkeypatch.setattr(Tiny, "change", {})
    forget()


class Bags(Ensemble, frozen=True):
    name = "bags"


def forget() -> None:
    """Clear the caches of this process, as if it were a new one."""
    data.forget()


def spec(factor: float = 10.0, seed: int = 0, fingerprint: str = "f00d", **more: object) -> dict[str, object]:
    return {
        "dataset": {"name": "tiny"}, "fingerprint": fingerprint, "profile": {"name": "exp"},
        "imbalance_factor": factor, "subset_seed": seed, **more,
    }  # fmt: skip


REGISTRY = Techniques(Tiny(), Exp())
FOLDER = Path("prepared") / "tiny-f00d"


def load_tiny(root: Path, **changes: object) -> Subset:
    return load(spec(**changes), REGISTRY, root)


# --- subsets ----------------------------------------------------------------------------------------------------------


def test_a_subset_holds_the_images_that_the_convention_keeps(tmp_path: Path) -> None:
    subset = load_tiny(tmp_path, seed=5)
    labels = np.arange(CLASSES * TRAIN) % CLASSES
    kept = subset_indices(labels, [40, 12, 4], 5)
    assert subset.images.shape == (56, 1, SIZE, SIZE)
    assert subset.images.dtype == subset.test_images.dtype == torch.uint8
    assert subset.images[:, 0, 0, 0].tolist() == kept.tolist()
    assert subset.labels.tolist() == labels[kept].tolist()
    assert subset.counts.tolist() == [40, 12, 4]
    assert subset.labels.dtype == subset.counts.dtype == subset.test_labels.dtype == torch.int64
    assert subset.test_images[:, 0, 3, 3].tolist() == list(range(15))
    assert subset.test_labels.tolist() == [0, 1, 2] * 5
    assert subset.info == Tiny().info(tmp_path)


def test_a_summary_has_the_facts_of_a_record(tmp_path: Path) -> None:
    assert load_tiny(tmp_path).summary() == {
        "counts": [40, 12, 4], "imbalance_factor": 10.0, "gini": pytest.approx(72 / 168), "size": SIZE,
        "classes": list(Tiny().info(tmp_path).classes), "channels": 1,
    }  # fmt: skip


def test_factors_and_seeds_are_different_subsets_of_the_same_images(tmp_path: Path) -> None:
    default, other_seed, other_factor = load_tiny(tmp_path), load_tiny(tmp_path, seed=1), load_tiny(tmp_path, factor=1)
    assert default.images.tolist() != other_seed.images.tolist()
    assert other_factor.counts.tolist() == [40] * 3
    assert Tiny.loads == [tmp_path]


def test_a_subset_asked_for_again_is_the_same_object(tmp_path: Path) -> None:
    assert load_tiny(tmp_path) is load_tiny(tmp_path)


def test_few_subsets_are_kept_in_memory(tmp_path: Path) -> None:
    first = load_tiny(tmp_path)
    for seed in range(1, 6):
        load_tiny(tmp_path, seed=seed)
    assert load_tiny(tmp_path) is not first


def test_a_data_set_changed_since_the_plan_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has changed since the plan was made") as caught:
        load_tiny(tmp_path, fingerprint="0ld")
    assert "f00d" in caught.value.why
    assert "0ld" in caught.value.why


def test_a_data_set_too_small_for_its_factor_is_refused_with_all_four_facts(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="class 'c' would keep no training image") as caught:
        load_tiny(tmp_path, factor=100)
    assert caught.value.where == "tiny, profile exp, imbalance factor 100"
    with pytest.raises(UsageError, match="imbalance factor 0 "):
        load_tiny(tmp_path, factor=0)


# --- held-out part ----------------------------------------------------------------------------------------------------


def numbers(images: torch.Tensor) -> list[int]:
    """Return the index of each image of Tiny, which its pixels hold."""
    return images[:, 0, 0, 0].tolist()


def test_the_held_out_images_of_a_known_subset(tmp_path: Path) -> None:
    subset = load_tiny(tmp_path, held_out=0.25)
    assert subset.counts.tolist() == [30, 9, 3]
    assert subset.held_out_counts() == [10, 3, 1]
    assert numbers(subset.held_out_images) == [60, 45, 54, 111, 48, 108, 21, 96, 93, 27, 40, 55, 115, 74]
    assert subset.held_out_labels.tolist() == [0] * 10 + [1] * 3 + [2]
    assert (subset.held_out_images.dtype, subset.held_out_labels.dtype) == (torch.uint8, torch.int64)
    assert subset.summary()["held_out"] == [10, 3, 1]


def test_what_belongs_together_is_held_out_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    units = np.arange(CLASSES * TRAIN) // 6  # six images that follow each other: two of each class
    monkeypatch.setattr(Tiny, "change", {"train_units": units})
    made = Tiny.info
    monkeypatch.setattr(
        Tiny, "info", lambda self, root: msgspec.structs.replace(made(self, root), train_units=int(units.max()) + 1)
    )
    subset = load_tiny(tmp_path, held_out=0.25, factor=1.0)
    held_out, rest = ({n // 6 for n in numbers(images)} for images in (subset.held_out_images, subset.images))
    assert held_out
    assert not held_out & rest


def test_the_held_out_part_and_the_rest_are_the_whole_subset(tmp_path: Path) -> None:
    whole, subset = load_tiny(tmp_path), load_tiny(tmp_path, held_out=0.25)
    held_out = numbers(subset.held_out_images)
    # In the same order, so that a training without these images is as close as it can be to one with them.
    assert numbers(subset.images) == [number for number in numbers(whole.images) if number not in held_out]
    assert sorted(numbers(subset.images) + held_out) == sorted(numbers(whole.images))
    assert subset.test_images.equal(whole.test_images)
    assert whole.held_out_images.shape == (0, 1, SIZE, SIZE)
    assert "held_out" not in whole.summary()


def test_held_out_images_of_factors_are_nested_and_those_of_seeds_differ(tmp_path: Path) -> None:
    of = {factor: load_tiny(tmp_path, factor=factor, held_out=0.1) for factor in (1, 4, 10, 20)}
    held_out = [set(numbers(subset.held_out_images)) for subset in of.values()]
    assert all(after <= before for before, after in itertools.pairwise(held_out))
    assert len(held_out[-1]) < len(held_out[0])
    assert set(numbers(load_tiny(tmp_path, factor=1, seed=1, held_out=0.1).held_out_images)) != held_out[0]


def test_the_draw_has_a_stream_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = load_tiny(tmp_path, held_out=0.25)
    forget()
    monkeypatch.setattr(data, "stream_seed", lambda seed, purpose: {"held_out": 5}[purpose])
    after = load_tiny(tmp_path, held_out=0.25)
    assert numbers(after.held_out_images) != numbers(before.held_out_images)
    both = [sorted(numbers(one.images) + numbers(one.held_out_images)) for one in (before, after)]
    assert both[0] == both[1]


class Validated(Tiny, frozen=True):
    """The same data set with six validation images."""

    name = "validated"

    def info(self, root: Path) -> DatasetInfo:
        return msgspec.structs.replace(super().info(root), valid_counts=(2, 4, 0), valid_fingerprint="va11d")

    def load(self, root: Path) -> Images:
        images = np.full((6, 1, SIZE, SIZE), 200, np.uint8)
        return msgspec.structs.replace(
            super().load(root), valid_images=images, valid_labels=np.array([0, 1] * 2 + [1] * 2)
        )


def test_a_validation_split_is_held_out_as_it_is(tmp_path: Path) -> None:
    registry = Techniques(Validated(), Exp())
    asked = spec(held_out="va11d") | {"dataset": {"name": "validated"}}
    subset = load(asked, registry, tmp_path)
    assert subset.counts.tolist() == [40, 12, 4]
    assert subset.held_out_labels.tolist() == [0, 1, 0, 1, 1, 1]
    assert numbers(subset.held_out_images) == [200] * 6
    assert [path.name for path in (tmp_path / "prepared").iterdir()] == ["validated-f00d-va11d"]
    assert numbers(load(spec() | {"dataset": {"name": "validated"}}, registry, tmp_path).held_out_images) == []
    with pytest.raises(DataError, match="validation split of data set 'validated' has changed"):
        load(asked | {"held_out": "0ld"}, registry, tmp_path)


def test_a_bag_has_no_image_that_is_held_out(tmp_path: Path) -> None:
    subset = load_tiny(tmp_path, held_out=0.25)
    bag = select_images(subset, torch.arange(42).repeat(2))
    assert not set(numbers(bag.images)) & set(numbers(bag.held_out_images))
    assert bag.held_out_images is subset.held_out_images


def test_a_fit_that_modifies_held_out_images_fails(tmp_path: Path) -> None:
    subset = load_tiny(tmp_path, held_out=0.25)
    with pytest.raises(JobFailed, match="modified held_out_images in place"), data.unmodified(subset, {}):
        subset.held_out_images.zero_()


# --- prepared arrays --------------------------------------------------------------------------------------------------


def test_arrays_are_written_once_and_mapped_by_the_next_process(tmp_path: Path) -> None:
    before = load_tiny(tmp_path)
    forget()
    after = load_tiny(tmp_path)
    assert Tiny.loads == [tmp_path]
    assert torch.equal(before.images, after.images)
    images = prepare(Tiny(), tmp_path)
    assert isinstance(images.train_images, np.memmap)
    assert sorted(path.name for path in (tmp_path / "prepared").iterdir()) == ["tiny-f00d"]
    assert sorted(path.name for path in (tmp_path / FOLDER).iterdir()) == [
        "digest.json", "test_images.npy", "test_labels.npy", "train_images.npy", "train_labels.npy",
    ]  # fmt: skip


def test_writing_to_the_arrays_never_reaches_the_file(tmp_path: Path) -> None:
    prepare(Tiny(), tmp_path)
    prepare(Tiny(), tmp_path).train_images[:] = 255
    assert prepare(Tiny(), tmp_path).train_images[7].max() == 7
    assert len(Tiny.loads) == 1


def damage_last_byte(file: Path) -> None:
    raw = bytearray(file.read_bytes())
    raw[-1] ^= 1
    file.write_bytes(raw)


DAMAGES = {
    "truncated": lambda folder: os.truncate(folder / "train_images.npy", 300),
    "one byte changed": lambda folder: damage_last_byte(folder / "test_labels.npy"),
    "file missing": lambda folder: (folder / "train_labels.npy").unlink(),
    "digest missing": lambda folder: (folder / "digest.json").unlink(),
    "digest not readable": lambda folder: (folder / "digest.json").write_text("{"),
    "of another data set": lambda folder: (folder / "digest.json").write_text(
        (folder / "digest.json").read_text().replace("f00d", "beef")
    ),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damaged_arrays_are_made_again(damage, tmp_path: Path) -> None:
    good = load_tiny(tmp_path)
    forget()
    damage(tmp_path / FOLDER)
    again = load_tiny(tmp_path)
    assert torch.equal(good.images, again.images)
    assert len(Tiny.loads) == 2
    prepare(Tiny(), tmp_path)
    assert len(Tiny.loads) == 2
    assert [path.name for path in (tmp_path / "prepared").iterdir()] == ["tiny-f00d"]


def test_arrays_are_not_read_to_open_them(tmp_path: Path, monkeypatch) -> None:
    prepare(Tiny(), tmp_path)
    monkeypatch.setattr(dataset_arrays.checksums, "examine", lambda *_: pytest.fail("read"))
    assert prepare(Tiny(), tmp_path).train_images[7].max() == 7
    assert len(Tiny.loads) == 1


def test_a_copy_of_the_folder_is_read_once(tmp_path: Path, monkeypatch) -> None:
    prepare(Tiny(), tmp_path)
    for file in (tmp_path / FOLDER).iterdir():
        os.utime(file, (1, 1))
    prepare(Tiny(), tmp_path)
    monkeypatch.setattr(dataset_arrays.checksums, "examine", lambda *_: pytest.fail("read again"))
    prepare(Tiny(), tmp_path)
    assert len(Tiny.loads) == 1


def test_a_data_set_is_described_once_for_all_jobs_of_a_process(tmp_path: Path, monkeypatch) -> None:
    described: list[Path] = []
    info = Tiny.info
    monkeypatch.setattr(Tiny, "info", lambda self, root: described.append(root) or info(self, root))
    for seed in range(3):
        load_tiny(tmp_path, seed=seed)
    assert len(described) == 2  # and once more before it is read


def test_images_that_have_changed_since_a_plan_are_not_prepared_under_its_fingerprint(
    tmp_path: Path, monkeypatch
) -> None:
    known = Tiny().info(tmp_path)
    monkeypatch.setattr(Tiny, "info", lambda *_: msgspec.structs.replace(known, fingerprint="beef"))
    with pytest.raises(DataError, match="has changed since it was described"):
        prepare(Tiny(), tmp_path, known)
    assert not Tiny.loads


def test_rows_of_a_file_of_the_data_set_itself_are_taken_as_they_are(tmp_path: Path, monkeypatch) -> None:
    images = Tiny().load(tmp_path)
    (tmp_path / "pixels").write_bytes(images.train_images.tobytes() + images.test_images.tobytes())
    monkeypatch.setattr(Tiny, "change", {
        "train_images": ImageRows(tmp_path / "pixels", (1, SIZE, SIZE), np.arange(120)),
        "test_images": ImageRows(tmp_path / "pixels", (1, SIZE, SIZE), np.arange(120, 135)),
    })  # fmt: skip
    subset = load_tiny(tmp_path)
    assert not (tmp_path / "prepared").exists()
    assert subset.images[:, 0, 0, 0].tolist() == subset_indices(images.train_labels, [40, 12, 4], 0).tolist()
    assert subset.test_images[14].max() == 14


def test_a_file_in_the_place_of_the_folder_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "prepared").mkdir()
    (tmp_path / FOLDER).write_text("something else")
    prepare(Tiny(), tmp_path)
    assert (tmp_path / FOLDER / "digest.json").is_file()


def test_a_process_with_mapped_arrays_keeps_them_when_they_are_replaced(tmp_path: Path) -> None:
    mapped = prepare(Tiny(), tmp_path).train_images
    (tmp_path / FOLDER / "digest.json").unlink()
    prepare(Tiny(), tmp_path)
    assert mapped[39].max() == 39


def test_of_two_processes_that_prepare_at_once_the_second_uses_the_files_of_the_first(tmp_path: Path) -> None:
    info = Tiny().info(tmp_path)
    images = Tiny().load(tmp_path)
    dataset_arrays._store(images, tmp_path / FOLDER, info)
    inode = (tmp_path / FOLDER).stat().st_ino
    dataset_arrays._store(images, tmp_path / FOLDER, info)
    assert (tmp_path / FOLDER).stat().st_ino == inode
    assert [path.name for path in (tmp_path / "prepared").iterdir()] == ["tiny-f00d"]


CONTENDER = """
import sys, time
from pathlib import Path
from ltbench.engine.dataset_arrays import prepare
from tiny import Tiny

root = Path(sys.argv[1])
(root / sys.argv[2]).touch()
while len(list(root.glob("ready-*"))) < 3:
    time.sleep(0.001)
for _ in range(25):
    assert prepare(Tiny(), root).train_images[99].max() == 99
    (root / "prepared" / "tiny-f00d" / "digest.json").unlink(missing_ok=True)
"""


def test_processes_that_prepare_and_damage_at_once_all_get_the_images(tmp_path: Path) -> None:
    path = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    running = [
        subprocess.Popen([sys.executable, "-c", CONTENDER, str(tmp_path), f"ready-{n}"], env=path) for n in range(3)
    ]
    assert [process.wait(timeout=120) for process in running] == [0, 0, 0]
    prepare(Tiny(), tmp_path)
    assert [path.name for path in (tmp_path / "prepared").iterdir()] == ["tiny-f00d"]


@pytest.mark.parametrize("obstacle", ["a file", "no room"])
def test_a_root_that_cannot_be_written_to_is_no_obstacle(obstacle: str, tmp_path: Path, monkeypatch) -> None:
    if obstacle == "a file":  # stops the superuser, too, unlike permissions
        (tmp_path / "prepared").write_text("")
    else:
        monkeypatch.setattr(
            dataset_arrays.np, "save", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device"))
        )
    subset = load_tiny(tmp_path)
    assert subset.counts.tolist() == [40, 12, 4]
    assert subset.test_images[14].max() == 14
    subset.test_images.clone().mul_(2)
    assert load_tiny(tmp_path, seed=1).counts.tolist() == [40, 12, 4]
    assert len(Tiny.loads) == 1
    left = list((tmp_path / "prepared").iterdir()) if obstacle == "no room" else []
    assert left == []


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_read_only_root_is_no_obstacle(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    assert load_tiny(tmp_path).counts.tolist() == [40, 12, 4]


def test_leftovers_of_killed_processes_are_removed_after_a_day(tmp_path: Path) -> None:
    for name, age in (("old", 25), ("new", 23)):
        left = tmp_path / "prepared" / f".tiny-f00d-{name}"
        left.mkdir(parents=True)
        os.utime(left, (time.time() - age * 3600,) * 2)
    prepare(Tiny(), tmp_path)
    assert sorted(path.name for path in (tmp_path / "prepared").iterdir()) == [".tiny-f00d-new", "tiny-f00d"]


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("train_images", np.zeros((120, 1, 4, 4), np.float32), r"train_images are float32 \[120, 1, 4, 4\]"),
        ("train_images", np.zeros((119, 1, 4, 4), np.uint8), r"train_images are uint8 \[119, 1, 4, 4\]"),
        ("test_images", np.zeros((15, 4, 4, 1), np.uint8), r"test_images are uint8 \[15, 4, 4, 1\]"),
        ("test_labels", np.zeros(15, np.int32), r"test_labels are int32 \[15\]"),
        ("test_labels", np.zeros(15, np.int64), r"test images per class are \[15, 0, 0\]"),
        ("train_labels", np.full(120, 3), "labels go from 3 to 3"),
    ],
)
def test_images_that_are_not_as_described_are_refused(name, array, message, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(Tiny, "change", {name: array})
    with pytest.raises(DataError, match=message):
        load_tiny(tmp_path)
    assert not (tmp_path / "prepared").exists()


# --- bags -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [np.array, torch.tensor], ids=["numpy", "torch"])
def test_a_bag_has_its_own_counts_and_may_repeat_images(kind, tmp_path: Path) -> None:
    subset = load_tiny(tmp_path)
    bag = select_images(subset, torch.as_tensor(kind([0, 0, 55, 41])))
    assert bag.images.tolist() == subset.images[[0, 0, 55, 41]].tolist()
    assert bag.labels.tolist() == [0, 0, 2, 1]
    assert bag.counts.tolist() == [2, 1, 1]
    assert bag.counts.dtype == torch.int64
    assert bag.test_images is subset.test_images
    assert bag.summary()["imbalance_factor"] == 2.0
    assert subset.counts.tolist() == [40, 12, 4]


def test_a_bag_without_a_class_has_no_imbalance_factor(tmp_path: Path) -> None:
    bag = select_images(load_tiny(tmp_path), torch.tensor([0, 1]))
    assert bag.counts.tolist() == [2, 0, 0]
    assert bag.summary()["imbalance_factor"] is None


@pytest.mark.parametrize(
    ("indices", "message"),
    [
        (np.array([0.0]), r"float64 \[1\]"),
        (np.array([[0]]), r"int64 \[1, 1\]"),
        (np.array([], np.int64), r"int64 \[0\]"),
        (np.array([True]), r"bool \[1\]"),
        (np.array([0, 56]), "from 0 to 56"),
        (np.array([-1, 3]), "from -1 to 3"),
    ],
)
def test_indices_that_are_none_of_the_subset_are_refused(indices, message, tmp_path: Path) -> None:
    with pytest.raises(JobFailed, match=message) as caught:
        check_indices(Bags(), "bag 0", torch.as_tensor(indices), len(load_tiny(tmp_path).labels))
    assert "bag 0" in caught.value.what
    assert caught.value.where == Bags.__module__


# --- with real data ---------------------------------------------------------------------------------------------------


def test_the_embedded_data_set_through_the_real_registry(tmp_path: Path, registry) -> None:
    dataset = registry.parse("fashion_mini")
    made = {
        "dataset": registry.spec(dataset), "fingerprint": dataset.info(tmp_path).fingerprint,
        "profile": registry.spec(registry.parse("exp")), "imbalance_factor": 100.0, "subset_seed": 0,
    }  # fmt: skip
    subset = load(made, registry, tmp_path)
    assert subset.images.shape == (1485, 1, 28, 28)
    assert subset.test_images.shape == (2000, 1, 28, 28)
    assert subset.summary()["imbalance_factor"] == 100.0
