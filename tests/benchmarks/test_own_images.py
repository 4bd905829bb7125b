"""Listing 100,000 files and reading 2,000 photos of a user.

Times are absolute and compare only with runs on the same machine; `peak_mib` nearly so.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import python

LIST = """
import json, sys, time
from pathlib import Path

from ltbench_plugins.datasets.image_folder import ImageFolder
from ltbench_plugins.datasets.image_list import ImageList

root = Path(sys.argv[1])
kind = {"folder": ImageFolder(path="photos", folds=5), "list": ImageList(path="list.csv", folds=5)}[sys.argv[2]]
began = time.process_time()
listing = kind.listing(root)
listing.digest("")
# Not getrusage: a child's maximum starts at the size of the process that started it.
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps({"files": len(listing), "classes": len(listing.classes), "cpu_seconds": time.process_time() - began,
                  "peak_mib": peak / 1024}))
"""


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """100,000 files in 10,000 classes, and a list of them."""
    root = tmp_path_factory.mktemp("many")
    lines = ["path,label"]
    for label in range(10_000):
        folder = root / "photos" / f"class {label}"
        folder.mkdir(parents=True)
        for number in range(10):
            (folder / f"{number}.png").touch()
            lines.append(f"photos/class {label}/{number}.png,class {label}")
    (root / "list.csv").write_text("\n".join(lines))
    return root


@pytest.mark.parametrize("kind", ["folder", "list"])
def test_listing_100_000_files(benchmark, many: Path, kind: str) -> None:
    measured = benchmark.pedantic(lambda: json.loads(python(LIST, many, kind).stdout), rounds=1)
    assert (measured["files"], measured["classes"]) == (100_000, 10_000)
    assert measured["peak_mib"] < 300
    benchmark.extra_info |= measured


@pytest.mark.parametrize("threads", [1, 2])
def test_reading_2_000_photos(benchmark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
    """JPEG files of 500 x 500 pixels at 128 x 128; what two threads gain depends on the cores that are free."""
    from ltbench.image_files.decode import Rules
    from ltbench_plugins.datasets import _reading
    from ltbench_plugins.datasets._reading import Source, read_images

    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    photo = np.asarray(Image.fromarray(noise).resize((500, 500)))
    files = [tmp_path / f"{number}.jpg" for number in range(2_000)]
    for number, file in enumerate(files):
        Image.fromarray(np.roll(photo, number, 0)).save(file, quality=85)
    monkeypatch.setattr(_reading, "cores", lambda: threads)
    rules = Rules(channels=3, size=128)
    found = benchmark.pedantic(read_images, args=([Source(file) for file in files], rules), rounds=1).readings
    assert not any(one.problem for one in found)
    assert len({one.digest for one in found}) > 400  # the roll comes round after 500
