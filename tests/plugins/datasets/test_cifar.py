from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import struct
import sys
import tarfile
import urllib.error
from pathlib import Path

import msgspec
import numpy as np
import pytest
from plugins.checks import available

from ltbench import DatasetInfo
from ltbench.core.folders import data_root
from ltbench.core.text_streams import printing_no_controls
from ltbench.errors import DataError
from ltbench.longtail import class_counts, subset_indices
from ltbench_plugins.datasets import _cifar, _download
from ltbench_plugins.datasets._cifar import Cifar, Form
from ltbench_plugins.datasets._content import fingerprint
from ltbench_plugins.datasets.cifar10 import Cifar10
from ltbench_plugins.datasets.cifar100 import Cifar100
from ltbench_plugins.profiles.exp import Exp

CONSTANTS = json.loads((Path(__file__).parents[2] / "constants_cifar_lt.json").read_text())
REAL = [Cifar10(), Cifar100()]

# --- the official formats, fabricated -----------------------------------------------------------------------------


def python2_pickle(images: np.ndarray, key: str, labels: list[int]) -> bytes:
    """Pickle a batch as Python 2 with numpy 1 did, opcode by opcode: byte strings, `align=0` in the dtype."""

    def text(value: bytes) -> bytes:
        return b"U" + bytes([len(value)]) + value

    data = images.tobytes()
    dtype = (
        b"cnumpy\ndtype\n"
        + text(b"u1")
        + b"K\0K\1\x87R(K\3"
        + text(b"|")
        + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb"
    )
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85" + text(b"b") + b"\x87R"
        b"(K\1J" + struct.pack("<i", len(images)) + b"J" + struct.pack("<i", 3072) + b"\x86"
        + dtype + b"\x89T" + struct.pack("<i", len(data)) + data + b"tb"
    )  # fmt: skip
    numbers = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    return b"\x80\2}(" + text(b"data") + array + text(key.encode()) + numbers + b"u."


def batches(classes: int, coarse: bool) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """Return one small content as files of the python and of the binary version: two for training, one for test."""
    rng = np.random.default_rng(0)
    python, binary = {}, {}
    for name in ("first", "second", "last"):
        pixels = rng.integers(0, 256, (2 * classes, 3072), np.uint8)
        labels = np.tile(np.arange(classes, dtype=np.uint8), 2)
        python[name] = python2_pickle(pixels, "fine_labels" if coarse else "labels", labels.tolist())
        head = [labels // 2, labels] if coarse else [labels]
        binary[f"{name}.bin"] = np.column_stack([*head, pixels]).tobytes()
    return python, binary


def form_of(version: str, files: dict[str, bytes], label: str | int) -> Form:
    algorithm = "md5" if version == "python" else "sha256"
    *train, test = [(name, hashlib.new(algorithm, raw).hexdigest()) for name, raw in files.items()]
    return Form(
        version=version, folder=f"small-{version}", archive=f"small-{version}.tar.gz", train=dict(train),
        test=dict([test]), label=label,
    )  # fmt: skip


class Small:
    """A made-up member of the family: its class, and its files by version."""

    def __init__(self, coarse: bool) -> None:
        classes = 4
        python, binary = batches(classes, coarse)
        forms = (
            form_of("python", python, "fine_labels" if coarse else "labels"),
            form_of("binary", binary, 1 if coarse else 0),
        )
        self.files = {form.version: (form, files) for form, files in zip(forms, (python, binary), strict=True)}
        all_pixels = np.stack(
            [np.frombuffer(raw, np.uint8).reshape(2 * classes, -1)[:, -3072:] for raw in binary.values()]
        )
        self.train_pixels = all_pixels[:2].reshape(-1, 3, 32, 32)
        self.test_pixels = all_pixels[2].reshape(-1, 3, 32, 32)

        class SmallCifar(Cifar, frozen=True):
            name = "small"
            archive_md5 = "0" * 32

        SmallCifar.forms = forms
        SmallCifar.about = DatasetInfo(
            classes=tuple("abcd"), train_counts=(4,) * 4, test_counts=(2,) * 4, channels=3, size=32,
            mean=(0.5,) * 3, std=(0.25,) * 3, fingerprint="",
        )  # fmt: skip
        self.dataset = SmallCifar()

    def unpacked(self, root: Path, version: str) -> Path:
        form, files = self.files[version]
        folder = root / form.folder
        folder.mkdir(parents=True)
        for name, raw in files.items():
            (folder / name).write_bytes(raw)
        return folder

    def packed(self, root: Path, version: str, leave_out: str = "") -> Path:
        form, files = self.files[version]
        root.mkdir(parents=True, exist_ok=True)
        with tarfile.open(root / form.archive, "w:gz") as archive:
            for name, raw in {"readme.html": b"hello", **dict(reversed(files.items()))}.items():
                if name != leave_out:
                    member = tarfile.TarInfo(f"{form.folder}/{name}")
                    member.size = len(raw)
                    archive.addfile(member, io.BytesIO(raw))
        return root / form.archive


@pytest.fixture(params=[False, True], ids=["like cifar10", "like cifar100"])
def small(request, tmp_path: Path) -> Small:
    made = Small(request.param)
    made.unpacked(tmp_path / "reference", "binary")
    images = made.dataset._read(made.dataset._source(tmp_path / "reference"))
    type(made.dataset).about = msgspec.structs.replace(made.dataset.about, fingerprint=fingerprint(images))
    return made


# --- reading ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lay_out", ["unpacked", "packed"])
@pytest.mark.parametrize("version", ["python", "binary"])
def test_every_official_form_gives_the_same_images(small: Small, tmp_path: Path, lay_out: str, version: str) -> None:
    getattr(small, lay_out)(tmp_path / "root", version)
    images = small.dataset.load(tmp_path / "root")
    assert np.array_equal(images.train_images, small.train_pixels)
    assert np.array_equal(images.test_images, small.test_pixels)
    assert images.train_images.dtype == np.uint8
    assert images.train_labels.tolist() == [0, 1, 2, 3] * 4
    assert images.test_labels.tolist() == [0, 1, 2, 3] * 2
    assert images.train_labels.dtype == np.int64
    where = small.dataset.locate(tmp_path / "root")
    assert version in where
    assert str(tmp_path / "root") in where


def test_a_whole_form_is_taken_where_another_is_incomplete(small: Small, tmp_path: Path) -> None:
    (small.unpacked(tmp_path, "python") / "second").unlink()
    small.packed(tmp_path, "binary")
    assert small.dataset.locate(tmp_path) == f"{tmp_path / 'small-binary.tar.gz'} (binary version)"
    assert len(small.dataset.load(tmp_path).train_labels) == 16


# --- a validation split, and how images are normalised ------------------------------------------------------------


def test_the_last_training_images_of_each_class_are_the_validation_split(small: Small, tmp_path: Path) -> None:
    small.packed(tmp_path, "python")
    whole = small.dataset.load(tmp_path)
    dataset = msgspec.structs.replace(small.dataset, validation=1)
    images, info = dataset.load(tmp_path), dataset.info(tmp_path)
    last = [int(np.flatnonzero(whole.train_labels == label)[-1]) for label in range(4)]
    assert np.array_equal(images.valid_images, whole.train_images[sorted(last)])
    assert np.array_equal(images.valid_labels, whole.train_labels[sorted(last)])
    assert np.array_equal(images.train_images, np.delete(whole.train_images, last, axis=0))
    assert np.array_equal(images.train_labels, np.delete(whole.train_labels, last))
    assert np.array_equal(images.test_images, whole.test_images)
    assert (info.train_counts, info.valid_counts, info.test_counts) == ((3,) * 4, (1,) * 4, (2,) * 4)
    assert tuple(class_counts(images.train_labels, 4)) == info.train_counts


def test_every_validation_split_has_fingerprints_of_its_own(small: Small, tmp_path: Path) -> None:
    infos = [msgspec.structs.replace(small.dataset, validation=count).info(tmp_path) for count in range(4)]
    assert infos[0] == small.dataset.about
    assert len({info.fingerprint for info in infos}) == 4
    assert len({info.valid_fingerprint for info in infos}) == 4
    assert len({info.fingerprint for info in infos} & {info.valid_fingerprint for info in infos}) == 0


def test_a_validation_split_of_all_training_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cifar100\[validation=500\] leaves no training images") as caught:
        Cifar100(validation=500).info(tmp_path)
    assert "below 500" in caught.value.fix
    assert Cifar100(validation=499).info(tmp_path).train_counts == (1,) * 100


@pytest.mark.parametrize("dataset", REAL, ids=lambda d: d.name)
def test_the_constants_of_ldam_are_those_of_its_code_for_both_data_sets(dataset: Cifar, tmp_path: Path) -> None:
    info = msgspec.structs.replace(dataset, normalise="ldam").info(tmp_path)
    assert (info.mean, info.std) == ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))
    assert msgspec.structs.replace(info, mean=dataset.about.mean, std=dataset.about.std) == dataset.about


# --- what is wrong is named ---------------------------------------------------------------------------------------


@pytest.fixture
def offline(monkeypatch) -> list[str]:
    """Refuse every download; the list has the addresses that were asked for."""
    import torchvision.datasets.utils as utils

    asked: list[str] = []

    def refuse(url: str, *_: object) -> None:
        asked.append(url)
        raise urllib.error.URLError("no network here")

    monkeypatch.setattr(utils, "download_url", refuse)
    return asked


@pytest.mark.parametrize("version", ["python", "binary"])
@pytest.mark.parametrize("damage", [lambda raw: raw[:-5], lambda raw: b"", lambda raw: raw[:100] + b"?" + raw[101:]])
def test_a_corrupt_file_of_a_folder_is_named(small: Small, tmp_path: Path, version: str, damage) -> None:
    folder = small.unpacked(tmp_path, version)
    name = list(small.files[version][1])[1]
    (folder / name).write_bytes(damage((folder / name).read_bytes()))
    with pytest.raises(DataError, match="is not the official file") as caught:
        small.dataset.load(tmp_path)
    assert name in caught.value.what
    assert str(folder) in caught.value.what


def test_a_truncated_archive_is_named(small: Small, tmp_path: Path) -> None:
    archive = small.packed(tmp_path, "python")
    raw = archive.read_bytes()
    for length in (len(raw) // 2, 10, 0):
        archive.write_bytes(raw[:length])
        with pytest.raises(DataError, match="corrupt or incomplete") as caught:
            small.dataset.load(tmp_path)
        assert str(archive) in caught.value.what


def test_an_archive_without_one_of_the_files_is_named(small: Small, tmp_path: Path) -> None:
    archive = small.packed(tmp_path, "binary", leave_out="second.bin")
    with pytest.raises(DataError, match=r"lacks small-binary/second\.bin") as caught:
        small.dataset.load(tmp_path)
    assert str(archive) in caught.value.what


def test_images_with_another_digest_are_refused_though_every_file_is_official(small: Small, tmp_path: Path) -> None:
    small.unpacked(tmp_path, "binary")
    type(small.dataset).about = msgspec.structs.replace(small.dataset.about, fingerprint="f" * 32)
    with pytest.raises(DataError, match="are not those of small"):
        small.dataset.load(tmp_path)


def test_nothing_is_unpickled_before_its_digest_is_right(small: Small, tmp_path: Path, monkeypatch) -> None:
    folder = small.unpacked(tmp_path, "python")
    (folder / "first").write_bytes(pickle.dumps({"data": 1}))
    monkeypatch.setattr(_cifar, "_unpickle", lambda _: pytest.fail("unpickled"))
    with pytest.raises(DataError, match="first"):
        small.dataset.load(tmp_path)


def test_a_pickle_that_calls_anything_else_is_refused() -> None:
    class Evil:
        def __reduce__(self):
            return os.getcwd, ()

    with pytest.raises(pickle.UnpicklingError, match="does not belong in a batch"):
        _cifar._unpickle(pickle.dumps({"data": Evil()}))


@pytest.mark.parametrize("dataset", REAL, ids=lambda d: d.name)
def test_missing_data_says_exactly_what_to_put_where(dataset: Cifar, tmp_path: Path, offline: list[str]) -> None:
    for ask in (dataset.locate, dataset.load):
        with pytest.raises(DataError, match=f"{dataset.name} is missing") as caught:
            ask(tmp_path)
        assert caught.value.where == str(tmp_path)
        for form in dataset.forms:
            assert form.archive in caught.value.fix
            assert f"{form.folder}/" in caught.value.fix
        assert "https://www.cs.toronto.edu/~kriz/cifar.html" in caught.value.fix
        assert f"ltbench data {dataset.name} --download" in caught.value.fix
    assert "no network here" in caught.value.why
    assert offline == [f"https://www.cs.toronto.edu/~kriz/{dataset.forms[0].archive}"]
    assert list(tmp_path.iterdir()) == []


def test_an_incomplete_folder_is_told_what_it_lacks(small: Small, tmp_path: Path, offline: list[str]) -> None:
    (small.unpacked(tmp_path, "binary") / "second.bin").unlink()
    for ask in (small.dataset.locate, small.dataset.load):
        with pytest.raises(DataError) as caught:
            ask(tmp_path)
        assert f"{tmp_path / 'small-binary'} lacks second.bin" in caught.value.why


def test_what_is_there_is_not_downloaded(small: Small, tmp_path: Path, offline: list[str]) -> None:
    small.packed(tmp_path, "binary")
    small.dataset.load(tmp_path)
    assert offline == []


# --- downloading --------------------------------------------------------------------------------------------------


def test_a_download_ends_in_the_data_root_and_is_read_from_there(
    small: Small, tmp_path: Path, monkeypatch, capsys
) -> None:
    import torchvision.datasets.utils as utils

    official = small.packed(tmp_path / "elsewhere", "python")
    given = []

    def serve(url: str, folder: str, name: str, md5: str) -> None:
        given.append((url, md5))
        print("fetching")
        (Path(folder) / name).write_bytes(official.read_bytes())

    monkeypatch.setattr(utils, "download_url", serve)
    images = small.dataset.load(tmp_path / "root")
    assert np.array_equal(images.train_images, small.train_pixels)
    assert given == [("https://www.cs.toronto.edu/~kriz/small-python.tar.gz", "0" * 32)]
    assert [path.name for path in (tmp_path / "root").iterdir()] == ["small-python.tar.gz"]
    out, err = capsys.readouterr()
    assert (out, err) == ("", "fetching\n")


def test_progress_of_a_download_is_drawn(tmp_path: Path, monkeypatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    monkeypatch.setattr(sys, "stderr", stream)

    def download(url: str, folder: str, name: str, md5: str) -> None:
        print("\r 50%", file=sys.stderr)
        (Path(folder) / name).write_bytes(b"")

    monkeypatch.setattr("torchvision.datasets.utils.download_url", download)
    with printing_no_controls():
        _download.fetch("https://example.org/x.tar.gz", "", tmp_path / "x.tar.gz")
    stream.flush()
    assert stream.buffer.getvalue() == b"\r 50%\n"  # type: ignore[attr-defined]


def test_an_interrupted_download_leaves_nothing(tmp_path: Path, monkeypatch) -> None:
    import torchvision.datasets.utils as utils

    def stop(url: str, folder: str, name: str, md5: str) -> None:
        (Path(folder) / name).write_bytes(b"half")
        raise RuntimeError("File not found or corrupted.")

    monkeypatch.setattr(utils, "download_url", stop)
    with pytest.raises(_download.NotFetched, match="corrupted"):
        _download.fetch("https://example.org/x.tar.gz", "0" * 32, tmp_path / "x.tar.gz")
    assert list(tmp_path.iterdir()) == []


def test_torchvision_names_the_same_official_files() -> None:
    from torchvision.datasets import CIFAR10, CIFAR100

    for dataset, theirs in ((Cifar10(), CIFAR10), (Cifar100(), CIFAR100)):
        form = dataset.forms[0]
        assert (form.folder, form.archive, dataset.archive_md5) == (theirs.base_folder, theirs.filename, theirs.tgz_md5)
        assert form.train == dict(theirs.train_list)
        assert form.test == dict(theirs.test_list)
        assert theirs.url == _cifar.HOME + form.archive


# --- the real data ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=REAL, ids=lambda d: d.name)
def real(request):
    return request.param, request.param.load(available(request.param))


@pytest.mark.data
def test_the_deviations_of_ldam_are_means_over_images_of_cifar10(real) -> None:
    dataset, images = real
    found = (images.train_images.reshape(50_000, 3, -1) / 255).std(2, ddof=1).mean(0)
    matches = np.array_equal(found.round(4), _cifar.LDAM[1])
    assert matches == (dataset.name == "cifar10")


@pytest.mark.data
def test_real_images_are_what_the_description_says(real) -> None:
    dataset, images = real
    info = dataset.info(data_root())
    classes = len(info.classes)
    assert classes == len(set(info.classes)) == len(info.train_counts)
    assert tuple(class_counts(images.train_labels, classes)) == info.train_counts
    assert tuple(class_counts(images.test_labels, classes)) == info.test_counts
    assert images.train_images.shape == (50_000, 3, 32, 32)
    assert images.test_images.shape == (10_000, 3, 32, 32)
    for channel, (mean, std) in enumerate(zip(info.mean, info.std, strict=True)):
        levels = np.arange(256) / 255
        share = np.bincount(images.train_images[:, channel].ravel(), minlength=256) / (50_000 * 1024)
        assert (share * levels).sum() == pytest.approx(mean, abs=1e-6)
        assert np.sqrt((share * levels**2).sum() - (share * levels).sum() ** 2) == pytest.approx(std, abs=1e-6)


@pytest.mark.data
def test_real_labels_are_in_the_order_that_the_literature_has(real) -> None:
    dataset, images = real
    digest = hashlib.sha256(images.train_labels.astype("<i8").tobytes()).hexdigest()[:16]
    assert digest == CONSTANTS["label_array"][dataset.name]


@pytest.mark.data
@pytest.mark.parametrize("factor", ["10", "100"])
def test_long_tailed_subsets_are_those_of_ldam_to_the_last_index(real, factor: str) -> None:
    dataset, images = real
    counts = Exp().counts(dataset.info(data_root()).train_counts, float(factor))
    indices = subset_indices(images.train_labels, counts, 0)
    assert (
        hashlib.sha256(indices.astype("<i8").tobytes()).hexdigest()[:16]
        == CONSTANTS["fingerprints"][dataset.name][factor]
    )


@pytest.mark.data
def test_fine_classes_have_their_names() -> None:
    dataset = Cifar100()
    binary = dataset.forms[1]
    folder = data_root() / binary.folder
    if not (folder / "train.bin").is_file():
        pytest.skip(f"the binary version of cifar100 is not there ({folder})")
    coarse, fine = np.fromfile(folder / "train.bin", np.uint8).reshape(-1, 3074)[:, :2].T
    superclass = {name: set(coarse[fine == label].tolist()) for label, name in enumerate(dataset.about.classes)}
    # From the home page of the data set; each superclass has five classes, in the alphabetical order of both.
    for number, members in {
        0: "beaver dolphin otter seal whale",
        1: "aquarium_fish flatfish ray shark trout",
        3: "bottle bowl can cup plate",
        14: "baby boy girl man woman",
        17: "maple_tree oak_tree palm_tree pine_tree willow_tree",
        19: "lawn_mower rocket streetcar tank tractor",
    }.items():
        assert {name for name, numbers in superclass.items() if numbers == {number}} == set(members.split())
