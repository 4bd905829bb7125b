"""Whatever people have: every kind of file in one folder, the same photos as another data set, very many classes."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ltbench.errors import DataError
from ltbench_plugins.datasets import _folders
from ltbench_plugins.datasets._division import draw, fold_of_each
from ltbench_plugins.datasets.image_folder import ImageFolder
from ltbench_plugins.datasets.image_list import ImageList

SIZE = 8
RAMP = np.linspace(0, 255, 30 * 20).astype(np.uint8).reshape(20, 30)


@pytest.fixture(autouse=True)
def fresh_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_folders, "_described", {})


def turned(file: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(RAMP).convert("RGB").save(file, exif=exif)


def animated(file: Path) -> None:
    Image.fromarray(RAMP).save(file, save_all=True, append_images=[Image.fromarray(RAMP[::-1].copy())])


READ: dict[str, tuple[str, Callable[[Path], object]]] = {
    "grey.png": ("grey", lambda file: Image.fromarray(RAMP).save(file)),
    "bits.png": ("grey", lambda file: Image.fromarray(RAMP).convert("1").save(file)),
    "grey alpha.png": ("grey with alpha", lambda file: Image.fromarray(RAMP).convert("LA").save(file)),
    "colour.jpg": ("RGB", lambda file: Image.fromarray(RAMP).convert("RGB").save(file)),
    "alpha.png": ("RGB with alpha", lambda file: Image.fromarray(RAMP).convert("RGBA").save(file)),
    "palette.png": ("palette", lambda file: Image.fromarray(RAMP).convert("P").save(file)),
    "transparent.gif": (
        "grey with alpha",
        lambda file: Image.fromarray(RAMP).convert("P").save(file, transparency=9),
    ),
    "print.jpg": ("CMYK", lambda file: Image.fromarray(RAMP).convert("CMYK").save(file)),
    "deep.png": ("16-bit grey", lambda file: Image.fromarray(RAMP.astype(np.uint16) * 257).save(file)),
    "deep.tif": ("16-bit grey", lambda file: Image.fromarray(RAMP.astype(np.uint16) * 257).save(file)),
    "turned.jpg": ("RGB", turned),
    "animated.png": ("grey", animated),
    "animated.webp": ("RGB", animated),
    "wrong ending.jpg": ("RGB", lambda file: Image.fromarray(RAMP).convert("RGB").save(file, format="BMP")),
    'it\'s "quoted" ü 猫.png': ("RGB", lambda file: Image.fromarray(RAMP).convert("RGB").save(file)),
}
UNREADABLE: dict[str, tuple[str, Callable[[Path], object]]] = {
    "empty.jpg": ("it is empty", lambda file: file.write_bytes(b"")),
    "text.jpg": ("no image", lambda file: file.write_text("hello")),
    "zeros.png": ("no image", lambda file: file.write_bytes(bytes(500))),
    "half.jpg": ("truncated", lambda file: Image.effect_noise((90, 90), 99).save(file) or file.write_bytes(file.read_bytes()[:900])),
    "page.jpg": ("no image", lambda file: file.write_text("<html>404</html>")),
    "gone.jpg": ("a broken link", lambda file: file.symlink_to("nowhere.jpg")),
    "loop.jpg": ("symbolic links", lambda file: file.symlink_to(file)),
    "bomb.png": ("DecompressionBomb", lambda file: Image.new("1", (20_000, 20_000)).save(file)),
}  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root with a folder of two classes, one of all kinds of files."""
    root = tmp_path_factory.mktemp("any")
    (root / "photos" / "kinds").mkdir(parents=True)
    for name, (_, write) in {**READ, **UNREADABLE}.items():
        write(root / "photos" / "kinds" / name)
    for n in range(6):
        (root / "photos" / "plain").mkdir(exist_ok=True)
        Image.new("RGB", (90, 60), (40 * n, 0, 0)).save(root / "photos" / "plain" / f"{n}.png")
    return root


def test_every_kind_of_file_is_read_or_listed_with_a_reason(whole: Path) -> None:
    dataset = ImageFolder(path="photos", size=SIZE, folds=3)
    info, census = dataset.info(whole), dataset.census(whole)
    assert sum(info.train_counts) + sum(info.test_counts) == len(READ) + 6
    assert info.report.rows(info.classes)[0][1] == str(len(READ) + len(UNREADABLE))
    expected: dict[str, int] = {"RGB": 6}
    for colour, _ in READ.values():
        expected[colour] = expected.get(colour, 0) + 1
    assert census.colours == expected
    reasons = {one.file: one.reason for one in census.unreadable}
    assert set(reasons) == {f"kinds/{name}" for name in UNREADABLE}
    for name, (reason, _) in UNREADABLE.items():
        assert reason in reasons[f"kinds/{name}"], name
    assert (census.smallest, census.largest) == ((20, 30), (90, 60))
    listed = {one.example: one.reason for one in info.report.skipped}
    assert listed == {name: f"unreadable: {reasons[f'kinds/{name}']}" for name in UNREADABLE}
    for note in ("1 image rotated by their EXIF orientation", "2 images with several frames or pages: the first is read",
                 "2 images of 16-bit grey: 65535 is read as 255", "1 image in CMYK: converted, ignoring colour profiles"):  # fmt: skip
        assert note in info.report.notes
    with pytest.raises(DataError, match="cannot be read as an image, nor can 7 others"):
        ImageFolder(path="photos", size=SIZE, folds=3, strict=True).info(whole)


def test_images_that_are_enlarged_are_counted(whole: Path) -> None:
    for size, enlarged in ((20, 0), (21, len(READ)), (31, len(READ)), (61, len(READ) + 6)):
        dataset = ImageFolder(path="photos", size=size, folds=3)
        assert dataset.census(whole).enlarged == enlarged


def test_the_same_photos_are_the_same_data_set_wherever_they_are(whole: Path, tmp_path: Path) -> None:
    for number, fields in enumerate(({"test_fraction": 0.3}, {"folds": 3, "fold": 2}, {"folds": 2, "split_seed": 5})):
        expected = ImageFolder(path="photos", size=SIZE, **fields).info(whole)
        shutil.copytree(whole / "photos", tmp_path / f"copy {number}", symlinks=True)
        moved = ImageFolder(path=f"copy {number}", size=SIZE, **fields).info(tmp_path)
        assert moved.fingerprint == expected.fingerprint
        # Only the data root and the places in the report may differ.
        assert moved == expected
        files = [file for file in sorted((whole / "photos").rglob("*.*")) if file.name in READ or "plain" in file.parts]
        (tmp_path / "l.jsonl").write_text(
            "".join(
                f'{{"path": "{str(file).replace(chr(34), chr(92) + chr(34))}", "label": "{file.parent.name}"}}\n'
                for file in files
            )
        )
        assert ImageList(path="l.jsonl", size=SIZE, **fields).info(tmp_path).fingerprint == expected.fingerprint


def test_a_changed_photo_is_another_data_set(whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole / "photos", tmp_path / "photos", symlinks=True)
    dataset = ImageFolder(path="photos", size=SIZE, test_fraction=0.3)
    prints = [dataset.info(tmp_path).fingerprint]
    file = tmp_path / "photos" / "plain" / "3.png"
    before = file.stat()
    Image.new("RGB", (90, 60), (121, 0, 0)).save(file)
    prints.append(dataset.info(tmp_path).fingerprint)
    assert file.stat().st_size == before.st_size
    (tmp_path / "photos" / "kinds" / "grey.png").rename(tmp_path / "photos" / "plain" / "grey.png")
    prints.append(dataset.info(tmp_path).fingerprint)
    assert len(set(prints)) == 3


def test_a_class_left_without_images_is_named(tmp_path: Path) -> None:
    for name in ("a", "b", "c", "d"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for n in range(3):
            Image.new("RGB", (8, 8), (ord(name), n, 0)).save(tmp_path / "photos" / name / f"{n}.png")
    for name in ("b", "d"):
        for n in range(3):
            (tmp_path / "photos" / name / f"{n}.png").write_bytes(b"")
    with pytest.raises(DataError, match="no training image of class 'b', 'd' can be read") as error:
        ImageFolder(path="photos", folds=3).info(tmp_path)
    assert error.value.why.endswith("b/0.png: it is empty")


def test_each_way_of_keeping_photos_is_read_by_one_data_set(parted: Path, registry) -> None:
    from ltbench import Dataset

    (parted / "list.csv").write_text("path,label\n")
    (parted / "hub" / "data").mkdir(parents=True)
    (parted / "hub" / "data" / "train.parquet").touch()
    (parted / "saved").mkdir()
    (parted / "saved" / "dataset_dict.json").touch()
    for path, name in (
        ("photos", "image_folder"),
        ("list.csv", "image_list"),
        ("hub", "hf_folder"),
        ("saved", "hf_folder"),
    ):
        kinds = [
            kind for kind in registry.of("dataset").values() if issubclass(kind, Dataset) and kind.reads(parted / path)
        ]
        assert [kind.name for kind in kinds] == [name]
    (parted / "photos" / "index.parquet").touch()
    assert ImageFolder.reads(parted / "photos")
    (parted / "photos.zip").touch()
    none = [parted / "gone", parted / "photos.zip", parted / "photos" / "cat" / "0.png"]
    assert not any(kind.reads(path) for path in none for kind in registry.of("dataset").values())
    for path, fix in (
        ("list.csv", "image_list[path=list.csv], if it is a list of images"),
        ("hub", "hf_folder[path=hub]"),
    ):
        with pytest.raises(DataError) as error:
            ImageFolder(path=path, folds=2).info(parted)
        assert error.value.fix == fix


# --- a folder of test images --------------------------------------------------------------------------------------


@pytest.fixture
def parted(tmp_path: Path) -> Path:
    """photos/{cat,dog,newt} and held/{cat,dog}."""
    for place, names, number in (("photos", ("cat", "dog", "newt"), 4), ("held", ("cat", "dog"), 2)):
        for name in names:
            (tmp_path / place / name).mkdir(parents=True)
            for n in range(number):
                Image.new("RGB", (8, 8), (ord(name[0]), n, len(place))).save(tmp_path / place / name / f"{n}.png")
    return tmp_path


def test_the_test_images_may_be_in_a_folder_elsewhere(parted: Path) -> None:
    dataset = ImageFolder(path="photos", test="held", size=SIZE)
    info = dataset.info(parted)
    assert (info.classes, info.train_counts, info.test_counts) == (("cat", "dog", "newt"), (4, 4, 4), (2, 2, 0))
    assert "classes without test images (recall is undefined): 'newt'" in info.report.notes
    (parted / "held" / "dog" / "1.png").write_bytes(b"")
    (skipped,) = dataset.info(parted).report.skipped
    assert str(parted) not in f"{skipped.place}{skipped.example}"
    assert (skipped.place, skipped.example) == ("dog", "1.png")
    # With a folder around both it is the same data set.
    (parted / "both").mkdir()
    shutil.copytree(parted / "photos", parted / "both" / "train")
    shutil.copytree(parted / "held", parted / "both" / "test")
    assert ImageFolder(path="both", size=SIZE).info(parted).fingerprint == dataset.info(parted).fingerprint


def test_a_test_folder_with_other_classes_names_the_nearest(parted: Path) -> None:
    (parted / "held" / "cat").rename(parted / "held" / "Cats")
    (parted / "held" / "dog").rename(parted / "held" / "dogs")
    with pytest.raises(DataError, match="photos has no class 'Cats', which held/ has, nor 'dogs'") as error:
        ImageFolder(path="photos", test="held").info(parted)
    assert "is it 'cat' in photos/?" in error.value.fix


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"test": "gone"}, "there is no folder"),
        ({"test": "photos"}, "photos/ and photos/ are the same folder"),
        ({"test": "photos/cat"}, "photos/ and cat/ share images: one is inside the other"),
        ({"test": "held/cat"}, "has no test images"),
    ],
)
def test_a_test_folder_that_cannot_be_is_refused(parted: Path, fields: dict[str, str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        ImageFolder(path="photos", **fields).info(parted)


def test_a_split_folder_is_not_given_another_test_folder(parted: Path) -> None:
    (parted / "photos" / "train").mkdir()
    for name in ("cat", "dog", "newt"):
        (parted / "photos" / name).rename(parted / "photos" / "train" / name)
    assert ImageFolder(path="photos", test="held", size=SIZE).info(parted).test_counts == (2, 2, 0)
    shutil.copytree(parted / "held", parted / "photos" / "test")
    with pytest.raises(DataError, match="test = held would split it again") as error:
        ImageFolder(path="photos", test="held").info(parted)
    assert error.value.fix.startswith("image_folder[path=photos], or ")


# --- very many ----------------------------------------------------------------------------------------------------


def test_ten_thousand_classes(tmp_path: Path) -> None:
    for number in range(10_000):
        (tmp_path / "photos" / f"{number}").mkdir(parents=True)
        (tmp_path / "photos" / f"{number}" / "0.png").touch()
    listing = ImageFolder(path="photos", folds=5).listing(tmp_path)
    assert listing.classes == tuple(map(str, range(10_000)))
    assert len(listing) == 10_000
    members = {f"{label}/{n}": [label] for label in range(10_000) for n in range(3)}
    folds = fold_of_each(members, 5, 0)
    assert {sum(folds[f"{label}/{n}"] == 1 for n in range(3)) for label in range(10_000)} == {0, 1}
    assert len(draw(members, 0.3, 0)) == 10_000
