"""Pixels that are kept in a growing file, and images that are rows of it."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ltbench.errors import DataError
from ltbench.image_files.decode import Rules
from ltbench.image_files.image_rows import ImageRows, mapped_rows
from ltbench.image_files.pixel_file import PixelFile
from ltbench_plugins.datasets import _reading
from ltbench_plugins.datasets._reading import Source, read_images, read_or_kept

RULES = Rules(channels=3, size=8)


@pytest.fixture
def sources(tmp_path: Path) -> list[Source]:
    rng = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    files = [tmp_path / "photos" / f"{number}.png" for number in range(100)]
    for file in files:
        Image.fromarray(rng.integers(0, 256, (12, 9, 3), np.uint8)).save(file)
    return [Source(file) for file in files]


def read(sources: list[Source], root: Path, **options: bool) -> _reading.Read:
    versions = [str(source.path).encode() for source in sources]
    return read_or_kept(sources, versions, RULES, root, root / "photos", **options)


def kept(root: Path) -> PixelFile:
    (folder,) = (root / "prepared").iterdir()
    return PixelFile(folder, (3, 8, 8))


def test_images_on_disk_are_those_that_are_read_into_memory(sources: list[Source], tmp_path: Path) -> None:
    stored, memory = read(sources, tmp_path), read_images(sources, RULES)
    assert isinstance(stored.pixels, ImageRows)
    np.testing.assert_array_equal(stored.pixels, memory.pixels)
    assert stored.readings == memory.readings
    assert stored.sums == memory.sums


def test_processes_read_what_threads_read(
    sources: list[Source], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "photos" / "7.png").write_bytes(b"no image")
    memory = read_images(sources, RULES)
    monkeypatch.setattr(_reading, "_MANY", 1)
    monkeypatch.setattr(_reading, "cores", lambda: 2)
    stored = read(sources, tmp_path)
    np.testing.assert_array_equal(stored.pixels, memory.pixels)
    assert stored.readings == memory.readings
    assert stored.readings[7].problem
    assert not kept(tmp_path).damaged()


def test_rows_are_indexed_as_an_array_is(tmp_path: Path) -> None:
    whole = np.random.default_rng(0).integers(0, 256, (20, 2, 3, 3), np.uint8)
    (tmp_path / "pixels").write_bytes(b"head" + whole.tobytes())
    order = np.array([3, 4, 5, 19, 0, 0, 7])
    rows, array = ImageRows(tmp_path / "pixels", (2, 3, 3), order, offset=4), whole[order]
    assert (rows.shape, rows.ndim, len(rows), rows.dtype) == (array.shape, 4, 7, array.dtype)
    for key in (2, -1, [0, 5, 5], np.array([[1, 2], [3, 4]]), np.arange(7) > 3, (slice(None), 0, 1), np.array([], int)):
        np.testing.assert_array_equal(rows[key], array[key])
    np.testing.assert_array_equal(np.asarray(rows[1::2]), array[1::2])
    assert isinstance(rows[1::2], ImageRows)
    np.testing.assert_array_equal(rows.at([6, 0])[[1]], array[[0]])
    np.testing.assert_array_equal(np.stack(list(rows)), array)
    with pytest.raises(IndexError):
        rows[7]


def test_rows_are_opened_again_where_they_are_sent(tmp_path: Path) -> None:
    whole = np.random.default_rng(0).integers(0, 256, (6, 1, 3, 3), np.uint8)
    (tmp_path / "pixels").write_bytes(whole.tobytes())
    rows = ImageRows(tmp_path / "pixels", (1, 3, 3), [2, 5])
    sent = pickle.loads(pickle.dumps(rows))
    assert sent._file is not rows._file
    np.testing.assert_array_equal(sent, whole[[2, 5]])


def test_a_file_that_was_cut_off_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "pixels").write_bytes(bytes(100))
    rows = ImageRows(tmp_path / "pixels", (1, 5, 5), [0, 3])
    os.truncate(tmp_path / "pixels", 99)
    with pytest.raises(OSError, match="shorter than it was"):
        rows[[1]]


def test_a_mapped_array_is_rows_of_its_file_and_a_part_of_one_is_not(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 256, (9, 1, 4, 4), np.uint8)
    np.save(tmp_path / "a.npy", array)
    mapped = np.load(tmp_path / "a.npy", mmap_mode="c")
    rows = mapped_rows(mapped)
    assert rows is not None
    np.testing.assert_array_equal(rows, array)
    assert mapped_rows(mapped[2:]) is None
    assert mapped_rows(array) is None


KILLED = """
import sys, time
from pathlib import Path

sys.path.insert(0, {tests!r})
from ltbench.image_files.pixel_file import PixelFile
from ltbench_plugins.datasets import _reading
from image_files.test_pixel_file import read
from ltbench_plugins.datasets._reading import Source

root = Path({root!r})
_reading._CHUNK, _reading._MANY, _reading.cores = 1, {many}, lambda: 2
add = PixelFile.add
PixelFile.add = lambda *args: (time.sleep(0.02), add(*args))
if __name__ == "__main__":
    read([Source(root / "photos" / f"{{number}}.png") for number in range(100)], root)
"""


@pytest.mark.parametrize("many", [1, 1000], ids=["processes", "threads"])
def test_a_killed_process_loses_little_and_the_next_one_goes_on(
    sources: list[Source], tmp_path: Path, many: int
) -> None:
    script = tmp_path / "script.py"
    script.write_text(KILLED.format(tests=str(Path(__file__).parents[1]), root=str(tmp_path), many=many))
    whole = read_images(sources, RULES)

    def number() -> int:
        return len(kept(tmp_path).kept()) if any((tmp_path / "prepared").glob("*")) else 0

    for _ in range(3):
        before = number()
        process = subprocess.Popen([sys.executable, script])
        while number() < before + 5:
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
        process.wait()
        assert before + 5 <= number() < 100
    stored = read(sources, tmp_path)
    np.testing.assert_array_equal(stored.pixels, whole.pixels)
    assert not kept(tmp_path).damaged()


def test_a_line_that_was_cut_off_is_read_again(
    sources: list[Source], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_reading, "_CHUNK", 10)
    whole = np.asarray(read(sources, tmp_path).pixels)
    index = kept(tmp_path).folder / "index.jsonl"
    lines = index.read_bytes().split(b"\n")
    index.write_bytes(b"\n".join(lines[:8]) + b"\n" + lines[8][:40])
    noted: list[str] = []
    read_image = _reading.read_image
    monkeypatch.setattr(_reading, "read_image", lambda source, *args: noted.append(source) or read_image(source, *args))
    np.testing.assert_array_equal(read(sources, tmp_path).pixels, whole)
    assert len(noted) == 30
    assert read(sources, tmp_path).readings
    assert len(noted) == 30


def test_intact_pixels_are_not_read_and_changed_ones_are(
    sources: list[Source], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read(sources, tmp_path)
    file = kept(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(PixelFile, "damaged", lambda _: pytest.fail("read"))
        assert file.is_intact()
    os.utime(file.pixels)
    assert file.is_intact()  # read, and found to be as it was
    with monkeypatch.context() as patch:
        patch.setattr(PixelFile, "damaged", lambda _: pytest.fail("read again"))
        assert file.is_intact()
    with file.pixels.open("r+b") as opened:
        opened.seek(1000)
        opened.write(b"damage")
    os.utime(file.pixels, (1, 1))
    assert not file.is_intact()
    assert len(file.damaged()) == 1


@pytest.mark.parametrize("call", ["posix_fallocate", "pwrite"])
def test_a_full_disk_is_an_error_for_many_images_and_nothing_is_half_used(
    sources: list[Source], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    monkeypatch.setattr(_reading, "_CHUNK", 10)
    whole = read_images(sources, RULES).pixels
    done: list[object] = []
    real = getattr(os, call)

    def full(*args: object) -> object:
        done.append(args)
        if call == "posix_fallocate" or len(done) > 3:
            raise OSError(28, "No space left on device")
        return real(*args)

    with monkeypatch.context() as patch:
        patch.setattr(_reading, "_IN_MEMORY", 100)
        patch.setattr(os, call, full)
        with pytest.raises(DataError, match="cannot be prepared on disk") as error:
            read(sources, tmp_path)
    assert "No space left on device" in error.value.why
    assert "--data-root" in error.value.fix
    assert kept(tmp_path).pixels.stat().st_size == 192 * len(kept(tmp_path).kept()) <= 30 * 192
    np.testing.assert_array_equal(read(sources, tmp_path).pixels, whole)


def test_few_images_are_read_into_memory_if_the_disk_is_full(
    sources: list[Source], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "posix_fallocate", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
    assert isinstance(read(sources, tmp_path).pixels, np.ndarray)


def test_strict_reading_stops_and_what_was_read_is_kept(
    sources: list[Source], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_reading, "_CHUNK", 10)
    for source in sources[20:70]:
        source.path.write_bytes(b"no image")
    found = read(sources, tmp_path, strict=True).readings
    assert sum(bool(one.problem) for one in found) == _reading._ENOUGH
    assert len(kept(tmp_path).kept()) == 40
