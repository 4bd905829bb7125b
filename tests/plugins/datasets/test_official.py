"""Published data sets of image files, from small files in their official layouts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ltbench.engine.dataset_arrays import prepare
from ltbench.errors import DataError, ParameterError
from ltbench_plugins.datasets import _folders
from ltbench_plugins.datasets._official import Official, Rows, lines_of, list_digest
from ltbench_plugins.datasets.cinic10 import CLASSES, Cinic10
from ltbench_plugins.datasets.imagenet_lt import ImagenetLt
from ltbench_plugins.datasets.inaturalist2018 import Inaturalist2018
from ltbench_plugins.datasets.places_lt import PlacesLt
from ltbench_plugins.datasets.tiny_imagenet import TinyImagenet


@pytest.fixture(autouse=True)
def fresh_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_folders, "_described", {})


def paint(file: Path, level: int, size: tuple[int, int] = (40, 30)) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(level).integers(0, 256, (size[1], size[0], 3), np.uint8)
    Image.fromarray(pixels).save(file, format="PNG" if file.suffix == ".png" else "JPEG")


def write_list(file: Path, rows: list[tuple[str, int]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{path} {label}\n" for path, label in rows))
    for number, (path, label) in enumerate(rows):
        paint(file.parent / path, 10 * label + number)


def imagenet(root: Path) -> None:
    train = [
        (f"train/n{label}/n{label}_{n}.JPEG", label) for label, count in enumerate((5, 2, 1)) for n in range(count)
    ]
    valid = [(f"train/n{label}/n{label}_{n + 50}.JPEG", label) for label in range(3) for n in range(2)]
    test = [(f"val/n{label}/ILSVRC2012_val_{n}.JPEG", label) for label in (2, 1, 0) for n in range(2)]
    for name, rows in (("train", train), ("val", valid), ("test", test)):
        write_list(root / "imagenet" / f"ImageNet_LT_{name}.txt", rows)


def places(root: Path) -> None:
    names = ("airfield", "airplane_cabin", "zen_garden")
    train = [(f"train/{names[label]}/{n}.jpg", label) for label, count in enumerate((5, 2, 1)) for n in range(count)]
    valid = [(f"train/{names[label]}/{n + 50}.jpg", label) for label in range(3) for n in range(2)]
    test = [(f"val/{names[label]}/Places365_val_{n}.jpg", label) for label in range(3) for n in range(2)]
    for name, rows in (("train", train), ("val", valid), ("test", test)):
        write_list(root / "places365_standard" / f"Places_LT_{name}.txt", rows)


def species(split: str) -> list[tuple[str, int]]:
    kinds = ("Plantae", "Aves", "Plantae")
    counts = (5, 2, 1) if split == "train" else (2, 2, 2)
    return [
        (f"train_val2018/{kinds[label]}/{label}/{split}{n}.jpg", label)
        for label in (2, 0, 1)
        for n in range(counts[label])
    ]


def naturalist(root: Path) -> None:
    for split in ("train", "val"):
        write_list(root / "inaturalist2018" / f"iNaturalist18_{split}.txt", species(split))


def tiny(root: Path) -> None:
    folder = root / "tiny-imagenet-200"
    names = ("n03", "n01", "n02")
    for label, name in enumerate(names):
        for n in range(2):
            paint(folder / "train" / name / "images" / f"{name}_{n}.JPEG", 10 * label + n)
        (folder / "train" / name / f"{name}_boxes.txt").write_text("x")
    (folder / "wnids.txt").write_text("\n".join(names))
    (folder / "val").mkdir()
    rows = [(f"val_{n}.JPEG", names[n % 3]) for n in range(6)]
    (folder / "val" / "val_annotations.txt").write_text("".join(f"{file}\t{name}\t0\t0\t9\t9\n" for file, name in rows))
    for n, (file, _) in enumerate(rows):
        paint(folder / "val" / "images" / file, 90 + n)


def cinic(root: Path) -> None:
    for split in ("train", "valid", "test"):
        for label, name in enumerate(CLASSES):
            for n in range(2):
                paint(root / "CINIC-10" / split / name / f"{n}.png", 100 * len(split) + 10 * label + n, (32, 32))


LT = {"train": 8, "valid": 6, "test": 6}
SETS: dict[type[Official], tuple[Callable[[Path], None], dict[str, int], int, tuple[int, int]]] = {
    ImagenetLt: (imagenet, LT, 3, (5, 1)),
    PlacesLt: (places, LT, 3, (5, 1)),
    Inaturalist2018: (naturalist, {"train": 8, "test": 6}, 3, (5, 1)),
    TinyImagenet: (tiny, {"train": 6, "test": 6}, 3, (2, 2)),
    Cinic10: (cinic, {"train": 20, "valid": 20, "test": 20}, 10, (2, 2)),
}
NAMES = {
    ImagenetLt: ("n0", "n1", "n2"),
    PlacesLt: ("airfield", "airplane_cabin", "zen_garden"),
    Inaturalist2018: ("Plantae 0", "Aves 1", "Plantae 2"),
    TinyImagenet: ("n01", "n02", "n03"),
    Cinic10: CLASSES,
}


@pytest.fixture(params=SETS, ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> type[Official]:
    """A data set, of which the data root has a few images."""
    return made(request.param, tmp_path, monkeypatch)


def made(kind: type[Official], root: Path, monkeypatch: pytest.MonkeyPatch) -> type[Official]:
    write, numbers, classes, extremes = SETS[kind]
    write(root)
    monkeypatch.setattr(kind, "numbers", numbers)
    monkeypatch.setattr(kind, "class_number", classes)
    monkeypatch.setattr(kind, "extremes", extremes)
    return kind


def test_the_official_layout_is_read(kind: type[Official], tmp_path: Path) -> None:
    dataset = kind(size=8, stored=12)
    info, images = dataset.info(tmp_path), prepare(dataset, tmp_path)
    _, numbers, _, extremes = SETS[kind]
    assert (sum(info.train_counts), sum(info.test_counts), sum(info.valid_counts)) == (
        numbers["train"], numbers["test"], numbers.get("valid", 0)
    )  # fmt: skip
    assert (max(info.train_counts), min(info.train_counts)) == extremes
    assert info.classes == NAMES[kind]
    assert (info.size, info.stored) == (8, 12)
    assert images.train_images.shape == (numbers["train"], 3, 12, 12)
    assert bool(info.valid_fingerprint) == ("valid" in numbers)
    assert dataset.locate(tmp_path).endswith(f"({sum(numbers.values())} images)")


def test_the_fingerprint_is_that_of_files_labels_and_rules(kind: type[Official], tmp_path: Path) -> None:
    def prints(**fields: object) -> str:
        return kind(size=8, **fields).info(tmp_path).fingerprint

    first = prints(stored=12)
    assert prints(stored=12) == first
    # What is stored is the same, of which a network takes another part.
    assert kind(size=9, stored=12).info(tmp_path).fingerprint == first
    others = [prints(stored=13), *([prints(stored=12, fit="pad")] if kind is not Cinic10 else [])]
    paint(next(Path(item.path) for item in kind().listing(tmp_path).train), 999, (31, 47))
    others.append(prints(stored=12))
    assert len({first, *others}) == 1 + len(others)


def test_images_are_in_the_order_of_the_labels_that_lists_give(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = made(Inaturalist2018, tmp_path, monkeypatch)
    assert prepare(kind(size=8), tmp_path).train_labels.tolist() == [label for _, label in species("train")]


def test_annotations_of_the_competition_are_the_same_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = made(Inaturalist2018, tmp_path, monkeypatch)
    before = kind(size=8).info(tmp_path)
    for split in ("train", "val"):
        rows = species(split)
        (tmp_path / "inaturalist2018" / f"iNaturalist18_{split}.txt").unlink()
        content = {
            "images": [{"id": 7 + n, "file_name": path} for n, (path, _) in enumerate(rows)],
            "annotations": [{"id": n, "image_id": 7 + n, "category_id": label} for n, (_, label) in enumerate(rows)],
        }
        (tmp_path / "inaturalist2018" / f"{split}2018.json").write_text(json.dumps(content))
    assert kind(size=8).info(tmp_path).fingerprint == before.fingerprint


def test_what_is_missing_is_named_with_what_to_put_where(kind: type[Official], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"{kind.name} is missing") as error:
        kind().listing(tmp_path / "elsewhere")
    assert kind.layout in error.value.fix
    assert "No such file" in error.value.why


def test_an_image_that_is_missing_is_an_error(kind: type[Official], tmp_path: Path) -> None:
    listing = kind(size=8).listing(tmp_path)
    if kind in {ImagenetLt, PlacesLt, Inaturalist2018}:
        Path(listing.train[0].path).unlink()
        with pytest.raises(DataError, match="cannot be read as an image") as error:
            kind(size=8).info(tmp_path)
        assert "there is no such file" in error.value.why
    else:
        Path(listing.train[0].path).unlink()
        with pytest.raises(DataError, match="is not that of"):
            kind(size=8).info(tmp_path)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda rows: rows[:-1], "it has 7 images; expected 8"),
        (lambda rows: [*rows[:-1], rows[0]], "it has 2 classes; expected 0 to 2"),
        (lambda rows: [*rows[1:], (rows[0][0], 1)], "its classes have 1 to 4 images; expected 1 to 5"),
    ],
)
def test_another_list_is_refused(change: Callable, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = made(ImagenetLt, tmp_path, monkeypatch)
    file = tmp_path / "imagenet" / "ImageNet_LT_train.txt"
    rows = [(path, int(label)) for path, label in map(str.split, file.read_text().splitlines())]
    file.write_text("".join(f"{path} {label}\n" for path, label in change(rows)))
    with pytest.raises(DataError, match=r"ImageNet_LT_train.txt is not that of imagenet_lt") as error:
        kind().listing(tmp_path)
    assert error.value.why == why


@pytest.mark.parametrize("line", ["train/a.jpg", "train/a.jpg x", "train/a.jpg -1", "0"])
def test_a_line_without_path_and_label_is_refused(line: str, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text(f"train/0.jpg 0\n\n{line}\n")
    with pytest.raises(DataError, match=r"line 3 of .* is not a path and a label"):
        lines_of(tmp_path / "list.txt")


def test_a_path_may_have_spaces(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("train/a b.jpg 12\n")
    assert lines_of(tmp_path / "list.txt").paths == ["train/a b.jpg"]


def test_lists_that_differ_from_the_published_ones_are_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = made(PlacesLt, tmp_path, monkeypatch)
    notes = kind(size=8).info(tmp_path).report.notes
    assert "the list of training images is not the published one" in notes
    rows = dict(kind().rows(tmp_path / "places365_standard"))
    monkeypatch.setattr(kind, "known", {split: list_digest(of) for split, of in rows.items()})
    assert not any("published" in note for note in kind(size=8).info(tmp_path).report.notes)
    turned = Rows(rows["train"].source, rows["train"].paths[::-1], rows["train"].labels[::-1])
    assert list_digest(turned) == list_digest(rows["train"])


def test_stored_images_are_larger(tmp_path: Path) -> None:
    assert (ImagenetLt().stored_side, TinyImagenet().stored_side) == (256, 64)
    with pytest.raises(ParameterError, match="stored = 256, which is not above size = 256"):
        ImagenetLt(size=256)
