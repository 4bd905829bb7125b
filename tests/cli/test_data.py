from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image
from support import imported, ltbench

from ltbench.cli.data import command
from ltbench.errors import DataError, PluginError, UsageError

PLUGIN = '''
"""A data set that {does}."""
from ltbench import Dataset, hookimpl
from ltbench.errors import DataError


class Odd(Dataset, frozen=True):
    """Odd."""

    name = "odd"

    def locate(self, root):
        {locate}

    def info(self, root):
        {info}


@hookimpl
def ltbench_datasets():
    return [Odd]
'''


def ask(root: Path, *args: str) -> Result:
    return CliRunner().invoke(command, [*args, "--data-root", str(root)])


def rows(result: Result) -> dict[str, dict[str, object]]:
    return {row["name"]: row for row in json.loads(result.stdout)}


def test_every_data_set_is_listed_with_what_to_put_where(tmp_path: Path) -> None:
    result = ask(tmp_path)
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    lines = {line.split()[0]: line for line in result.stdout.splitlines() if line and line[0] != " "}
    assert " yes " in lines["fashion_mini"]
    assert all(text in lines["fashion_mini"] for text in ("6000", "2000", "1 x 28 x 28", "MIT", "e7974128b099"))
    for name in ("cifar10", "cifar100"):
        assert (
            f"\n{name} is missing\n  where: {tmp_path}\n  try: ltbench data {name} --download, or put " in result.stdout
        )
    assert "cifar-10-python.tar.gz or cifar-10-binary.tar.gz" in result.stdout


def test_json_has_every_fact(tmp_path: Path) -> None:
    found = rows(ask(tmp_path, "--json"))
    assert {"fashion_mini", "cifar10", "cifar100"} <= set(found)
    here, missing = found["fashion_mini"], found["cifar100"]
    assert here["here"] is True
    assert here["problem"] == ""
    assert here["where"].endswith("images.xz (embedded)")
    assert (here["classes"], here["train_images"], here["test_images"]) == (10, 6000, 2000)
    assert (here["channels"], here["size"], here["licence"]) == (1, 28, "MIT")
    assert len(here["fingerprint"]) == 32
    assert missing["here"] is False
    assert missing["where"] == ""
    assert "cifar-100-binary/" in missing["problem"]
    assert (missing["classes"], missing["train_images"]) == (100, 50_000)


def test_one_data_set_by_name(tmp_path: Path) -> None:
    result = ask(tmp_path, "fashion_mini")
    assert result.exit_code == 0
    assert "cifar" not in result.stdout
    assert list(rows(ask(tmp_path, "fashion_mini", "--json"))) == ["fashion_mini"]


def test_asking_for_a_missing_one_by_name_is_an_error(tmp_path: Path) -> None:
    result = ask(tmp_path, "cifar10")
    assert isinstance(result.exception, DataError)
    assert result.stdout == ""
    result = ask(tmp_path, "cifar10", "--json")
    assert isinstance(result.exception, DataError)
    assert rows(result)["cifar10"]["here"] is False


def test_the_exit_code_of_the_real_command_and_what_it_prints(tmp_path: Path) -> None:
    done = ltbench("data", "cifar10", env={"LTBENCH_DATA": str(tmp_path)})
    assert done.returncode == 2
    assert done.stdout == ""
    assert f"ltbench: cifar10 is missing\n  where: {tmp_path}\n" in done.stderr


@pytest.mark.parametrize(("name", "error", "message"), [
    ("cifr10", PluginError, "did you mean cifar10"),
    ("exp", UsageError, "'exp' is a profile"),
])  # fmt: skip
def test_a_name_that_is_no_data_set_is_refused(name: str, error: type[Exception], message: str, tmp_path: Path) -> None:
    result = ask(tmp_path, name)
    assert isinstance(result.exception, error)
    assert message in str(result.exception)


def test_download_makes_a_data_set_ready_for_training(tmp_path: Path) -> None:
    result = ask(tmp_path, "fashion_mini", "--download")
    assert result.exit_code == 0
    assert result.stderr == f"fashion_mini: preparing under {tmp_path}\n"
    (folder,) = (tmp_path / "prepared").iterdir()
    assert (folder / "train_images.npy").is_file()


def test_nothing_is_written_without_download(tmp_path: Path) -> None:
    ask(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("locate", "info", "problem"),
    [
        (
            "raise RuntimeError('oops')",
            "raise RuntimeError('again')",
            "plugin of data set 'odd' raised RuntimeError: oops",
        ),
        ("return 'somewhere'", "raise KeyError('x')", "plugin of data set 'odd' raised KeyError: 'x'"),
        ("raise DataError('odd is not there')", "raise DataError('unknown')", "odd is not there"),
    ],
)
def test_a_data_set_that_raises_spoils_only_its_own_row(locate: str, info: str, problem: str, tmp_path: Path) -> None:
    file = tmp_path / "odd.py"
    file.write_text(PLUGIN.format(does="raises", locate=locate, info=info))
    result = ask(tmp_path, "--json", "--plugin-file", str(file))
    assert result.exit_code == 0, result.output
    found = rows(result)
    assert found["odd"]["problem"] == problem
    assert found["odd"]["here"] is False
    assert found["odd"]["classes"] is None
    assert found["fashion_mini"]["here"] is True
    text = ask(tmp_path, "--plugin-file", str(file)).stdout
    assert problem in text
    named = ask(tmp_path, "odd", "--plugin-file", str(file))
    assert isinstance(named.exception, (DataError, RuntimeError))


def test_it_starts_without_anything_heavy(tmp_path: Path) -> None:
    heavy = {"torch", "numpy", "pandas", "torchvision", "timm"}
    assert imported("data", "--data-root", tmp_path).isdisjoint(heavy)


def test_verify_reads_all_prepared_images_and_prepares_damaged_ones_again(tmp_path: Path) -> None:
    assert ask(tmp_path, "fashion_mini", "--verify").stderr == ""  # nothing is prepared
    ask(tmp_path, "fashion_mini", "--download")
    good = "fashion_mini: all prepared images are as they were written\n"
    assert ask(tmp_path, "fashion_mini", "--verify").stderr == good
    (folder,) = (tmp_path / "prepared").iterdir()
    file = folder / "train_images.npy"
    before = file.stat()
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))  # damage that leaves no trace
    result = ask(tmp_path, "fashion_mini", "--verify")
    assert result.exit_code == 0
    assert result.stderr.endswith("train_images.npy does not match its digest\nfashion_mini: prepared again\n")
    assert ask(tmp_path, "fashion_mini", "--verify").stderr == good


def test_verify_finds_damaged_pixels_of_photos(tmp_path: Path) -> None:
    for number in range(12):
        file = tmp_path / "photos" / f"class {number % 2}" / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (number * 9, 0, 0)).save(file)
    photos = "image_folder[folds=2,path=photos,size=8]"
    ask(tmp_path, photos, "--download")
    good = f"{photos}: all prepared images are as they were written\n"
    assert ask(tmp_path, photos, "--verify").stderr == good
    (file,) = (tmp_path / "prepared").glob("files-*/pixels.bin")
    before = file.stat()
    content = bytearray(file.read_bytes())
    content[0] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert "12 images are not what was written" in ask(tmp_path, photos, "--verify").stderr
    assert ask(tmp_path, photos, "--verify").stderr == good
