"""Make the embedded file of the data set `fashion_mini` from the four gzipped files of Fashion-MNIST.

    python scripts/make_fashion_mini.py [--source DIR] [--target FILE]

`apt-get install dataset-fashion-mnist` (Debian and Ubuntu) puts the source under /usr/share/datasets/fashion-mnist;
https://github.com/zalandoresearch/fashion-mnist has the same files. Kept are the first 600 training and the first 200
test images of each class, in file order. The target is an xz stream of plain bytes: training images, class by class,
then test images, class by class, each 28 x 28 pixels of one byte. Labels follow from that order.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import lzma
from pathlib import Path

import numpy as np
import numpy.typing as npt

SOURCE = Path("/usr/share/datasets/fashion-mnist")
TARGET = Path(__file__).parents[1] / "plugins/ltbench_plugins/datasets/_fashion_mini/images.xz"
CLASSES, SIZE = 10, 28
KEPT = {"train": 600, "t10k": 200}
IDX_IMAGES, IDX_LABELS = 2051, 2049


def read_idx(path: Path, magic: int) -> npt.NDArray[np.uint8]:
    """Return the array of a gzipped idx file of unsigned bytes (LeCun's MNIST format, big-endian header)."""
    raw = gzip.decompress(path.read_bytes())
    if int.from_bytes(raw[:4], "big") != magic:
        raise SystemExit(f"{path} is not the idx file that is expected here")
    axes = magic & 0xFF
    shape = [int.from_bytes(raw[4 + 4 * i : 8 + 4 * i], "big") for i in range(axes)]
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * axes).reshape(shape)


def content(source: Path) -> bytes:
    """Return the bytes that the target holds, before compression."""
    parts = []
    for split, kept in KEPT.items():
        images = read_idx(source / f"{split}-images-idx3-ubyte.gz", IDX_IMAGES)
        labels = read_idx(source / f"{split}-labels-idx1-ubyte.gz", IDX_LABELS)
        parts += [images[np.flatnonzero(labels == label)[:kept]].tobytes() for label in range(CLASSES)]
    made = b"".join(parts)
    assert len(made) == CLASSES * sum(KEPT.values()) * SIZE * SIZE, "a class has too few images"
    return made


def main() -> None:
    """Write the target and print its size and the digest of its content."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, default=SOURCE)
    parser.add_argument("--target", type=Path, default=TARGET)
    args = parser.parse_args()
    made = content(args.source)
    packed = lzma.compress(made, preset=9 | lzma.PRESET_EXTREME)
    args.target.parent.mkdir(parents=True, exist_ok=True)
    args.target.write_bytes(packed)
    print(f"{args.target}: {len(packed)} bytes; content {len(made)} bytes, sha256 {hashlib.sha256(made).hexdigest()}")


if __name__ == "__main__":
    main()
