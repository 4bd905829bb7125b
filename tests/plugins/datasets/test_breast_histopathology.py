"""Breast histopathology: split by patient, natural imbalance."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from plugins.checks import available

from ltbench.errors import DataError, ParameterError
from ltbench.longtail import check_counts
from ltbench_plugins.datasets import _folders
from ltbench_plugins.datasets._listing import Item
from ltbench_plugins.datasets.breast_histopathology import BreastHistopathology
from ltbench_plugins.profiles.natural import Natural

PATIENTS = 8
NEGATIVE, POSITIVE = 4, 2
"""Patches of each patient."""


def patch(root: Path, patient: str, label: int, number: int, name: str = "") -> Path:
    file = root / patient / str(label) / (name or f"{patient}_idx5_x{number}_y1_class{label}.png")
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (50, 50), (int(patient) % 256, number, label)).save(file)
    return file


@pytest.fixture(autouse=True)
def fresh_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_folders, "_described", {})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for patient in range(PATIENTS):
        for label, patches in enumerate((NEGATIVE, POSITIVE)):
            for number in range(patches):
                patch(tmp_path / "idc", str(10000 + patient), label, number)
    return tmp_path


def patients(items: list[Item]) -> set[str]:
    return {item.path.parts[-3] for item in items}


@pytest.mark.parametrize("split_seed", range(5))
@pytest.mark.parametrize(("fraction", "testing"), [(0.01, 1), (0.25, 2), (0.5, 4), (0.99, 7)])
def test_no_patient_is_on_both_sides(root: Path, fraction: float, testing: int, split_seed: int) -> None:
    listing = BreastHistopathology(test_fraction=fraction, split_seed=split_seed).listing(root)
    assert not patients(listing.train) & patients(listing.test)
    assert len(patients(listing.test)) == testing
    assert len(patients(listing.train)) == PATIENTS - testing


def test_training_keeps_the_natural_imbalance_and_the_test_is_balanced(root: Path) -> None:
    info = BreastHistopathology().info(root)
    assert info.classes == ("IDC(-)", "IDC(+)")
    assert info.train_counts == (6 * NEGATIVE, 6 * POSITIVE)
    assert info.test_counts == (2 * POSITIVE, 2 * POSITIVE)
    assert BreastHistopathology(balanced_test=False).info(root).test_counts == (2 * NEGATIVE, 2 * POSITIVE)


def test_training_can_be_cut_to_counts(root: Path) -> None:
    whole, cut = BreastHistopathology().listing(root), BreastHistopathology(counts=(7, 3)).listing(root)
    assert [sum(item.label == label for item in cut.train) for label in (0, 1)] == [7, 3]
    assert set(cut.train) < set(whole.train)
    assert cut.test == whole.test
    with pytest.raises(DataError, match=r"keeps 25 training patches of IDC\(-\), but there are 24"):
        BreastHistopathology(counts=(25, 1)).info(root)


def test_smaller_counts_keep_part_of_what_larger_ones_keep(root: Path) -> None:
    small, large = (BreastHistopathology(counts=counts).listing(root).train for counts in ((5, 2), (9, 4)))
    assert set(small) < set(large)


def test_labels_and_pixels_belong_together(root: Path) -> None:
    images = BreastHistopathology(size=10).load(root)
    assert images.train_images.shape == (36, 3, 10, 10)
    assert np.array_equal(images.train_images[:, 2, 5, 5], images.train_labels)
    assert np.array_equal(images.test_images[:, 2, 5, 5], images.test_labels)


def test_the_folder_of_the_archive_around_the_patients_is_seen_through(root: Path) -> None:
    before = BreastHistopathology().info(root)
    (root / "outer").mkdir()
    (root / "idc").rename(root / "outer" / "IDC_regular_ps50_idx5")
    assert BreastHistopathology(path="outer").info(root) == before


def test_files_that_are_no_patches_are_left_out(root: Path) -> None:
    before = BreastHistopathology().info(root)
    (root / "idc" / "notes" / "0").mkdir(parents=True)
    (root / "idc" / "10000" / "0" / "desktop.ini").write_text("x")
    (root / "idc" / "10000" / "2").mkdir()
    after = BreastHistopathology().info(root)
    assert (after.fingerprint, after.report.train, after.report.test) == (before.fingerprint, (24, 12), (4, 4))
    assert after.report.files == (4 * PATIENTS + 1, 2 * PATIENTS)
    assert [(one.place, one.reason) for one in after.report.skipped] == [
        ("IDC(-)", "hidden or system file"), ("IDC(-)", "test patches beyond the rarer class"),
    ]  # fmt: skip


def test_a_link_brings_no_patch_of_another_patient(root: Path) -> None:
    before = BreastHistopathology().info(root)
    other = root / "idc" / "10000" / "0" / "10000_idx5_x0_y1_class0.png"
    (root / "idc" / "10001" / "0" / "10001_idx5_x99_y1_class0.png").symlink_to(other)
    assert BreastHistopathology().info(root).fingerprint == before.fingerprint
    (root / "idc" / "10099").symlink_to("10000")
    with pytest.raises(DataError, match="two patients are the same folder: '10000' and '10099'"):
        BreastHistopathology().info(root)


def test_a_patch_in_the_wrong_class_is_named(root: Path) -> None:
    file = patch(root / "idc", "10003", 0, 9, name="10003_idx5_x9_y1_class1.png")
    with pytest.raises(DataError, match="is in the folder of class 0") as error:
        BreastHistopathology().info(root)
    assert str(file) in str(error.value)


def test_a_corrupt_patch_is_named(root: Path) -> None:
    file = root / "idc" / "10001" / "0" / "10001_idx5_x0_y1_class0.png"
    file.write_bytes(file.read_bytes()[:60])
    with pytest.raises(DataError, match="cannot be read as an image") as error:
        BreastHistopathology(balanced_test=False).info(root)
    assert str(file) in str(error.value)


def test_missing_data_says_exactly_what_to_put_where(tmp_path: Path) -> None:
    for ask in (BreastHistopathology().locate, BreastHistopathology().info, BreastHistopathology().load):
        with pytest.raises(DataError, match="is missing") as error:
            ask(tmp_path)
        assert error.value.where == str(tmp_path / "idc")
        assert "kaggle.com/paultimothymooney/breast-histopathology-images" in error.value.fix
        assert "PATIENT/1/*_class1.png" in error.value.fix


def test_one_patient_cannot_be_split(tmp_path: Path) -> None:
    patch(tmp_path / "idc", "10000", 0, 0)
    with pytest.raises(DataError) as error:
        BreastHistopathology().info(tmp_path)
    assert "it has 1 patients" in error.value.why


def test_patients_of_one_class_only_are_no_test_set(tmp_path: Path) -> None:
    for patient in ("1", "2", "3"):
        patch(tmp_path / "idc", patient, 0, 0)
    with pytest.raises(DataError, match="patches of one class only"):
        BreastHistopathology().info(tmp_path)


@pytest.mark.parametrize("counts", [(5,), (1, 2, 3)])
def test_counts_are_two_numbers(counts: tuple[int, ...]) -> None:
    with pytest.raises(ParameterError, match="has two classes"):
        BreastHistopathology(counts=counts)


def test_counts_are_written_with_a_plus(registry) -> None:
    dataset = registry.parse("breast_histopathology[counts=772+76,size=50]", "dataset")
    assert dataset == BreastHistopathology(counts=(772, 76), size=50)
    assert registry.parse(dataset.label) == dataset


# --- the real patches ---------------------------------------------------------------------------------------------


@pytest.fixture
def real() -> Path:
    return available(BreastHistopathology())


@pytest.mark.data
def test_real_patients_are_on_one_side_each(real: Path) -> None:
    listing = BreastHistopathology(balanced_test=False).listing(real)
    assert not patients(listing.train) & patients(listing.test)
    share = len(patients(listing.test)) / len(patients(listing.train) | patients(listing.test))
    assert share == pytest.approx(0.25, abs=0.01)


@pytest.mark.data
def test_real_patches_can_be_cut_to_those_of_report_jiang(real: Path) -> None:
    info = BreastHistopathology(counts=(772, 76)).info(real)
    assert info.train_counts == (772, 76)
    assert info.test_counts[0] == info.test_counts[1] > 0
    check_counts(Natural().counts(info.train_counts, 1), info.train_counts)


@pytest.mark.data
def test_real_patches_are_pink(real: Path) -> None:
    info = BreastHistopathology(size=16).info(real)
    red, green, blue = info.mean
    assert red > blue > green > 0.3
    assert min(info.std) > 0.05
