"""Groups that a split keeps together."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from ltbench.errors import DataError, ParameterError
from ltbench_plugins.datasets import _folders
from ltbench_plugins.datasets._listing import Item
from ltbench_plugins.datasets.image_folder import ImageFolder


@pytest.fixture(autouse=True)
def fresh_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_folders, "_described", {})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Moles of 12 patients, three images each: patients below 4 have one malign one."""
    for patient in range(12):
        for number in range(3):
            label = "malign" if patient < 4 and number == 0 else "benign"
            file = tmp_path / "moles" / label / f"P{patient}_{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8), (20 * patient, number, 0)).save(file)
    return tmp_path


def moles(groups: str, **fields: object) -> ImageFolder:
    return ImageFolder(path="moles", size=8, test_fraction=0.25, groups=groups, **fields)


def divided(dataset: ImageFolder, root: Path) -> tuple[list[Item], list[Item]]:
    """Return training and test files."""
    read = dataset._read(dataset.listing(root), root)
    train, test = ([read.items[row] for row in read.rows[split]] for split in ("train", "test"))
    return train, test


def patients(items: list[Item]) -> set[str]:
    return {item.path.name.partition("_")[0] for item in items}


@pytest.mark.parametrize("split_seed", range(5))
@pytest.mark.parametrize("groups", [r"P\d+", r"(P\d+)_\d", r"/(P\d+)_"])
def test_no_group_is_on_both_sides_and_each_class_is_on_both(root: Path, groups: str, split_seed: int) -> None:
    dataset = moles(groups, split_seed=split_seed)
    train, test = divided(dataset, root)
    assert not patients(train) & patients(test)
    assert len(patients(test)) in range(2, 5)
    assert {item.label for item in test} == {item.label for item in train} == {0, 1}
    notes = dataset.info(root).report.notes
    assert f"groups: {12 - len(patients(test))} for training, {len(patients(test))} for testing" in notes


def test_without_groups_patients_are_on_both_sides(root: Path) -> None:
    train, test = divided(ImageFolder(path="moles", size=8, test_fraction=0.25), root)
    assert patients(train) & patients(test)


@pytest.mark.parametrize("head", ["path,group", "group;path", "Path\tother\tGroup"])
@pytest.mark.parametrize("column", ["path", "name", "stem"])
def test_groups_may_be_in_a_table(root: Path, head: str, column: str) -> None:
    sign = next(one for one in "\t;," if one in head)
    names = head.lower().split(sign)
    lines = [head]
    for file in sorted((root / "moles").rglob("*.png")):
        shown = {"path": file.relative_to(root / "moles").as_posix(), "name": file.name, "stem": file.stem}[column]
        row = {"path": shown, "group": file.name.partition("_")[0], "other": "x"}
        lines.append(sign.join(row[name] for name in names))
    (root / "moles" / "patients.csv").write_text("\ufeff" + "\r\n".join(lines))
    assert moles("patients.csv").listing(root).undivided == moles(r"P\d+").listing(root).undivided


def test_a_table_may_name_paths_of_the_data_set_with_its_train_folder(root: Path) -> None:
    files = sorted((root / "moles").rglob("*.png"))
    lines = [f"train/{file.relative_to(root / 'moles').as_posix()}\t{file.name[:2]}" for file in files]
    (root / "train").mkdir()
    for folder in (root / "moles").iterdir():
        folder.rename(root / "train" / folder.name)
    (root / "train").rename(root / "moles" / "train")
    (root / "moles" / "patients.tsv").write_text("\n".join(["path\tgroup", *lines]))
    train, test = divided(moles("patients.tsv"), root)
    assert not {item.path.name[:2] for item in train} & {item.path.name[:2] for item in test}


@pytest.mark.parametrize(
    ("groups", "table", "message"),
    [
        (r"P1\d", None, r"have no group by groups=P1\\d: benign/P0_1.png"),
        ("p.csv", None, "p.csv cannot be read"),
        ("p.csv", "path,patient\n", "has no column 'group'"),
        ("p.csv", "path,group\nP0_1.png,a\n", r"35 of 36 images have no group by the table p.csv"),
        ("p.csv", "path,group\nP0_1.png,a\nP0_1.png,b\n", "has two groups for P0_1.png: a and b"),
        ("p.csv", "", "has no column 'path'"),
    ],
)
def test_a_file_without_a_group_is_an_error(root: Path, groups: str, table: str | None, message: str) -> None:
    if table is not None:
        (root / "moles" / "p.csv").write_text(table)
    with pytest.raises(DataError, match=message):
        moles(groups).listing(root)


@pytest.mark.parametrize("before", ["", ".\\"])
def test_paths_of_a_table_may_be_those_of_windows(root: Path, before: str) -> None:
    odd = root / "moles" / "benign" / "P9\\1.png"  # a name that only other systems permit
    odd.write_bytes(next((root / "moles" / "benign").glob("P0_*.png")).read_bytes())
    lines = ["path,group"]
    for file in sorted((root / "moles").rglob("*.png")):
        inside = before + str(file.relative_to(root / "moles")).replace("/", "\\")
        lines.append(f"{inside},{file.name[:2]}")
    (root / "moles" / "p.csv").write_text("\r\n".join(lines))
    train, test = divided(moles("p.csv"), root)
    assert odd in {item.path for item in (*train, *test)}
    assert not {item.path.name[:2] for item in train} & {item.path.name[:2] for item in test}
    (root / "moles" / "p.csv").write_text("\n".join([*lines, f"{before}benign\\{odd.name},other"]))
    with pytest.raises(DataError, match="has two groups for"):
        moles("p.csv").listing(root)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1"])
def test_a_table_in_another_encoding_says_what_to_do(root: Path, encoding: str) -> None:
    (root / "moles" / "p.csv").write_bytes("path,group\nP0_1.png,Zoë\n".encode(encoding))
    with pytest.raises(DataError, match=r"p\.csv cannot be read") as error:
        moles("p.csv").listing(root)
    assert error.value.fix == "save it as CSV in UTF-8"


def test_a_missing_table_says_where_to_put_it(root: Path) -> None:
    with pytest.raises(DataError, match=r"moles/p\.csv cannot be read") as error:
        moles("p.csv").listing(root)
    assert "with the columns path and group" in error.value.fix


def test_groups_that_cannot_be_are_refused_at_once() -> None:
    with pytest.raises(ParameterError, match="is not a valid regular expression"):
        moles("(")
    with pytest.raises(ParameterError, match="no split without test_fraction or folds"):
        ImageFolder(path="moles", groups="P")


def test_one_group_in_all_leaves_nothing_to_test(root: Path) -> None:
    with pytest.raises(DataError, match="no test images"):
        moles("P").info(root)


def test_another_split_is_another_fingerprint(root: Path) -> None:
    fingerprints = {moles(r"P\d+", split_seed=seed).info(root).fingerprint for seed in range(3)}
    assert len(fingerprints) == 3
