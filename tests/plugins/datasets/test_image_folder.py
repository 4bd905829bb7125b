"""Any folder of images with a folder for each class."""

from __future__ import annotations

import os
import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import python

from ltbench.engine.dataset_arrays import prepare
from ltbench.errors import DataError, ParameterError
from ltbench_plugins.datasets import _folders, _reading
from ltbench_plugins.datasets._content import moments
from ltbench_plugins.datasets.image_folder import ImageFolder


def paint(path: Path, colour: tuple[int, int, int] = (10, 20, 30), size: tuple[int, int] = (8, 8)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


@pytest.fixture(autouse=True)
def fresh_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_folders, "_described", {})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A data root with pets/{train,test}/{cat,dog}: 3 and 2 images for training, 1 and 2 for testing."""
    for split, cats, dogs in (("train", 3, 2), ("test", 1, 2)):
        for number in range(cats):
            paint(tmp_path / "pets" / split / "cat" / f"{number}.png", (number, 0, 0))
        for number in range(dogs):
            paint(tmp_path / "pets" / split / "dog" / f"{number}.PNG", (0, number, 255))
    return tmp_path


PETS = ImageFolder(path="pets", size=8)


def test_a_tree_with_train_and_test_is_read_as_it_is(root: Path) -> None:
    info = PETS.info(root)
    assert (info.classes, info.train_counts, info.test_counts) == (("cat", "dog"), (3, 2), (1, 2))
    assert (info.channels, info.size) == (3, 8)
    images = PETS.load(root)
    assert images.train_images.shape == (5, 3, 8, 8)
    pixels = images.train_images[:, :, 3, 3].tolist()
    assert sorted(pixels[:3]) == [[0, 0, 0], [1, 0, 0], [2, 0, 0]]
    assert sorted(pixels[3:]) == [[0, 0, 255], [0, 1, 255]]
    assert images.train_labels.tolist() == [0, 0, 0, 1, 1]
    assert images.test_labels.tolist() == [0, 1, 1]
    assert PETS.locate(root) == f"{root / 'pets'} (8 images)"


def test_mean_and_deviation_are_those_of_the_training_pixels(root: Path) -> None:
    info = PETS.info(root)
    red = np.array([0, 1, 2, 0, 0]) / 255
    assert info.mean == (round(red.mean(), 6), round(1 / 255 / 5, 6), 0.4)
    # The greens differ by less than one step in all and would blow up noise; a deviation is one step or more.
    assert info.std == (round(1 / 255, 6), round(1 / 255, 6), round((0.4 * 0.6) ** 0.5, 6))


def test_mean_and_deviation_agree_with_numpy() -> None:
    images = np.random.default_rng(0).integers(0, 256, (7, 2, 5, 5), np.uint8)
    mean, std = moments(images)
    assert mean == pytest.approx((images / 255).mean((0, 2, 3)), abs=1e-6)
    assert std == pytest.approx((images / 255).std((0, 2, 3)), abs=1e-6)


@pytest.mark.parametrize("name", ["val", "valid", "validation"])
def test_the_test_images_may_be_called_validation(root: Path, name: str) -> None:
    (root / "pets" / "test").rename(root / "pets" / name)
    assert PETS.info(root).test_counts == (1, 2)


def test_images_are_cut_to_their_central_square_and_resized(root: Path) -> None:
    wide = np.zeros((8, 16, 3), np.uint8)
    wide[:, 4:12] = 200
    Image.fromarray(wide).save(root / "pets" / "train" / "cat" / "0.png")
    first = ImageFolder(path="pets", size=4).load(root).train_images[0]
    assert first.shape == (3, 4, 4)
    assert first.min() == first.max() == 200


def test_grey_is_one_channel(root: Path) -> None:
    grey = ImageFolder(path="pets", size=8, channels=1)
    assert grey.info(root).channels == 1
    # ITU-R 601: 0.114 of the blue, 0.587 of the green.
    assert sorted(grey.load(root).train_images[3:, 0, 0, 0]) == [round(0.114 * 255), round(0.114 * 255 + 0.587)]


def test_other_files_and_hidden_ones_are_left_out(root: Path) -> None:
    (root / "pets" / "train" / "cat" / "Thumbs.db").write_bytes(b"x")
    (root / "pets" / "train" / "cat" / ".hidden.png").write_bytes(b"x")
    paint(root / "pets" / "train" / "cat" / ".cache" / "1.png")
    paint(root / "pets" / "train" / ".ipynb_checkpoints" / "1.png")
    paint(root / "pets" / "train" / "cat" / "deeper" / "4.jpeg")
    assert PETS.info(root).train_counts == (4, 2)


def test_class_names_may_be_in_any_script(tmp_path: Path) -> None:
    names = ["Äpfel", "猫", "собака"]
    for split in ("train", "test"):
        for name in names:
            spelled = unicodedata.normalize("NFD", name) if split == "test" else name
            paint(tmp_path / "Bilder für alle" / split / spelled / "ein Bild é.png", (10 * len(name), 0, 0))
    dataset = ImageFolder(path="Bilder für alle", size=4)
    assert dataset.info(tmp_path).classes == tuple(sorted(names))
    _folders._described.clear()
    assert dataset.info(tmp_path).classes == tuple(sorted(names))


# --- splitting ----------------------------------------------------------------------------------------------------


@pytest.fixture
def unsplit(tmp_path: Path) -> Path:
    for label, number in (("a", 20), ("b", 5), ("c", 2)):
        for n in range(number):
            paint(tmp_path / "one" / label / f"{n:02}.png", (n, 0, 0))
    return tmp_path


def test_a_share_of_each_class_is_split_off_for_testing(unsplit: Path) -> None:
    dataset = ImageFolder(path="one", size=8, test_fraction=0.2)
    info = dataset.info(unsplit)
    assert (info.train_counts, info.test_counts) == ((16, 4, 1), (4, 1, 1))
    images = dataset.load(unsplit)
    shades = [images.train_images[:16, 0, 0, 0].tolist(), images.test_images[:4, 0, 0, 0].tolist()]
    assert sorted(shades[0] + shades[1]) == list(range(20))


def test_the_split_depends_on_names_and_seed_alone(unsplit: Path, tmp_path_factory) -> None:
    dataset = ImageFolder(path="one", size=8, test_fraction=0.5)
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    shutil.copytree(unsplit / "one", elsewhere / "one", copy_function=shutil.copy)
    assert dataset.info(unsplit).fingerprint == dataset.info(elsewhere).fingerprint
    other = ImageFolder(path="one", size=8, test_fraction=0.5, split_seed=1)
    assert dataset.info(unsplit).fingerprint != other.info(unsplit).fingerprint


def test_a_class_with_one_image_keeps_it_for_training(unsplit: Path) -> None:
    (unsplit / "one" / "c" / "01.png").unlink()
    info = ImageFolder(path="one", test_fraction=0.2).info(unsplit)
    assert (info.train_counts, info.test_counts) == ((16, 4, 1), (4, 1, 0))
    assert "classes without test images (recall is undefined): 'c'" in info.report.notes


def test_a_tree_that_is_split_is_not_split_again(root: Path) -> None:
    with pytest.raises(DataError, match="would split it again"):
        ImageFolder(path="pets", test_fraction=0.2).info(root)


def test_a_seed_without_a_split_is_an_error() -> None:
    with pytest.raises(ParameterError, match="no split without test_fraction or folds"):
        ImageFolder(path="pets", split_seed=1)


# --- what is wrong is named ---------------------------------------------------------------------------------------


def test_a_corrupt_image_is_skipped_and_listed_or_an_error_if_strict(root: Path) -> None:
    broken = root / "pets" / "train" / "dog" / "1.PNG"
    strict = ImageFolder(path="pets", size=8, strict=True)
    for content in (b"no image", b"", broken.read_bytes()[:40]):
        broken.write_bytes(content)
        info = PETS.info(root)
        assert (info.train_counts, info.test_counts) == ((3, 1), (1, 2))
        (listed,) = info.report.skipped
        assert (listed.place, listed.example, listed.number) == ("train/dog", "1.PNG", 1)
        assert listed.reason.startswith("unreadable: ")
        assert info.report.rows(info.classes)[1] == ["dog", "4", "1", "2", "1"]
        with pytest.raises(DataError, match="cannot be read as an image") as error:
            strict.info(root)
        assert str(broken) in str(error.value)


def test_an_empty_class_folder_is_named(root: Path) -> None:
    (root / "pets" / "train" / "newt").mkdir()
    (root / "pets" / "train" / "newt" / "1.heic").write_bytes(b"x")
    with pytest.raises(DataError, match="has no images") as error:
        PETS.info(root)
    assert str(root / "pets" / "train" / "newt") in str(error.value)
    assert "1 of unsupported format (.heic), 1.heic" in error.value.why


@pytest.mark.parametrize("empty", [False, True])
def test_a_class_without_test_images_is_allowed_and_said(root: Path, empty: bool) -> None:
    paint(root / "pets" / "train" / "newt" / "0.png")
    if empty:
        (root / "pets" / "test" / "newt").mkdir()
    info = PETS.info(root)
    assert (info.train_counts, info.test_counts) == ((3, 2, 1), (1, 2, 0))
    assert "classes without test images (recall is undefined): 'newt'" in info.report.notes


def test_a_class_without_training_images_is_named_with_the_nearest(root: Path) -> None:
    (root / "pets" / "test" / "cat").rename(root / "pets" / "test" / "Cat")
    with pytest.raises(DataError, match="train has no class 'Cat'") as error:
        PETS.info(root)
    assert "is it 'cat' in train/?" in error.value.fix


def test_a_missing_folder_says_what_to_put_where(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no folder") as error:
        PETS.locate(tmp_path)
    assert str(tmp_path / "pets") in str(error.value)
    with pytest.raises(DataError, match="has no path") as error:
        ImageFolder().locate(tmp_path)
    assert "image_folder[path=FOLDER]" in str(error.value)
    paint(tmp_path / "pets" / "cat" / "0.png")
    paint(tmp_path / "pets" / "dog" / "0.png")
    with pytest.raises(DataError, match="has no train/") as error:
        PETS.locate(tmp_path)
    assert "test_fraction=0.2" in str(error.value)


def test_an_empty_folder_says_what_it_should_have(tmp_path: Path) -> None:
    (tmp_path / "pets").mkdir()
    with pytest.raises(DataError, match="has no folders"):
        ImageFolder(path="pets", test_fraction=0.2).info(tmp_path)


# --- prepared once ------------------------------------------------------------------------------------------------


def test_images_are_read_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = PETS.info(root)
    assert sorted(p.name for p in (root / "prepared" / f"image_folder-{info.fingerprint}").glob("*.npy")) == [
        "test_labels.npy",
        "test_rows.npy",
        "train_labels.npy",
        "train_rows.npy",
    ]
    _folders._described.clear()  # as in another process
    monkeypatch.setattr(_reading, "read_image", lambda *_, **__: pytest.fail("read again"))
    assert PETS.info(root) == info
    assert prepare(PETS, root).train_images.shape == (5, 3, 8, 8)


def test_sizes_are_prepared_apart(root: Path) -> None:
    first, second = PETS.info(root), ImageFolder(path="pets", size=6).info(root)
    assert first.fingerprint != second.fingerprint
    assert len(list((root / "prepared").glob("image_folder-*.json"))) == 2


def test_a_change_of_files_is_noticed(root: Path) -> None:
    before = PETS.info(root).fingerprint
    paint(root / "pets" / "train" / "cat" / "0.png", (99, 99, 99))
    os.utime(root / "pets" / "train" / "cat" / "0.png", (1, 1))
    changed = PETS.info(root).fingerprint
    (root / "pets" / "train" / "cat" / "0.png").unlink()
    assert len({before, changed, PETS.info(root).fingerprint}) == 3


def test_a_damaged_description_is_made_again(root: Path) -> None:
    info = PETS.info(root)
    (file,) = (root / "prepared").glob("*.json")
    file.write_bytes(b"{}")
    _folders._described.clear()
    assert PETS.info(root) == info


def test_a_data_root_that_cannot_be_written_is_no_obstacle(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "prepared").write_text("a file in the place of the folder")
    info = PETS.info(root)
    monkeypatch.setattr(_reading, "read_image", lambda *_, **__: pytest.fail("read again for each description"))
    assert PETS.info(root) == info


def test_a_description_needs_no_torch(root: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from ltbench_plugins.datasets.image_folder import ImageFolder;"
        f"print(ImageFolder(path='pets', size=8).info(Path({str(root)!r})).train_counts, 'torch' in sys.modules)"
    )
    assert python(code).stdout.strip() == "(3, 2) False"


def test_it_is_written_on_a_command_line_as_other_techniques_are(registry) -> None:
    dataset = registry.parse("image_folder[path=a/b c,size=64,test_fraction=0.2]", "dataset")
    assert dataset == ImageFolder(path="a/b c", size=64, test_fraction=0.2)
    assert registry.parse(dataset.label) == dataset
