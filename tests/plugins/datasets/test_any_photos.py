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


@pytest.mark.parametrize(
    ("fields", "enlarged", "reduced"),
    [
        ({"size": 19}, 0, len(READ) + 6),
        ({"size": 20}, 0, 6),
        ({"size": 21}, len(READ), 6),
        ({"size": 61}, len(READ) + 6, 0),
        ({"size": 16, "stored": 60}, len(READ), 0),
        # 20 x 30 pixels: the longer side decides.
        ({"size": 29, "fit": "pad"}, 0, len(READ) + 6),
        ({"size": 31, "fit": "pad"}, len(READ), 6),
    ],
)
def test_images_that_are_enlarged_or_reduced_are_counted(
    fields: dict[str, object], enlarged: int, reduced: int, whole: Path
) -> None:
    census = ImageFolder(path="photos", folds=3, **fields).census(whole)
    assert (census.enlarged, census.reduced) == (enlarged, reduced)


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


def grouped(folder: Path, groups: int = 6, *, copies: bool = False) -> None:
    """Write six photos of each of two classes, some with the same pixels."""
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
        for number in range(6):
            pixels = rng.integers(0, 255, (9, 9), np.uint8)
            Image.fromarray(pixels).save(folder / name / f"p{number % groups}_{number}.png")
            if copies and number == 0:
                Image.fromarray(pixels).save(folder / name / "copy_9.png")


@pytest.mark.parametrize(
    ("groups", "copies", "units"), [("", False, 0), ("", True, 10), (r"p\d|copy", False, 4), (r"p\d|copy", True, 4)]
)
def test_images_that_belong_together_are_units_of_the_training_images(
    tmp_path: Path, groups: str, copies: bool, units: int
) -> None:
    grouped(tmp_path / "photos", 3 if groups else 6, copies=copies)
    # Groups are of both classes: each of p0, p1 and p2 is a unit of four photos.
    dataset = ImageFolder(path=str(tmp_path / "photos"), size=SIZE, folds=3, groups=groups)
    info, images = dataset.info(tmp_path), dataset.load(tmp_path)
    if not units:
        assert info.train_units == 0
        assert images.train_units is None
        return
    found = images.train_units
    assert info.train_units == len(set(found.tolist())) < len(found) == sum(info.train_counts)
    digests = [image.tobytes() for image in images.train_images]
    same = {(a, b) for a in range(len(digests)) for b in range(a) if digests[a] == digests[b]}
    assert all(found[a] == found[b] for a, b in same)


def test_what_belongs_together_is_part_of_the_fingerprint(tmp_path: Path) -> None:
    grouped(tmp_path / "photos")
    files = sorted((tmp_path / "photos").rglob("*.png"))
    prints = []
    for period in (1, 2, 3, 12):
        rows = [
            f"{file.relative_to(tmp_path)},{file.parent.name},{'test' if number % 6 == 5 else 'train'},g{number % period}"
            for number, file in enumerate(files)
        ]
        (tmp_path / f"list{period}.csv").write_text("\n".join(["path,label,split,group", *rows]))
        prints.append(ImageList(path=str(tmp_path / f"list{period}.csv"), size=SIZE).info(tmp_path).fingerprint)
    # One group of all images is as good as none; so is a group for each image.
    assert prints[0] == prints[3]
    assert len(set(prints)) == 3
