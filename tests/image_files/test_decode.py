"""Image files as bytes: every kind of pixel by a stated rule, or refused by name."""

from __future__ import annotations

import hashlib
import os
import struct
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ltbench.errors import DataError
from ltbench.image_files import decode as _decode
from ltbench.image_files.decode import Reading, Rules, read_image, warnings_by_thread
from ltbench_plugins.datasets import _reading
from ltbench_plugins.datasets._reading import Source, read_images, unreadable
from ltbench_plugins.datasets._remarks import Traits

SIZE = 8
RAMP = np.linspace(0, 65535, SIZE * SIZE).astype(np.uint16).reshape(SIZE, SIZE)
IN_BYTES = ((RAMP.astype(np.int64) * 255 * 2 + 65535) // (2 * 65535)).astype(np.uint8)


def read(file: Path, channels: int = 1, **rules: Any) -> tuple[np.ndarray, Traits]:
    pixels, found = read_all([file], channels, **rules)
    if found[0].problem:
        raise unreadable([(file, found[0])], 1, "")
    return pixels[0], Traits.of(found)


def read_all(files: list[Path], channels: int = 1, **rules: Any) -> tuple[np.ndarray, list[Reading]]:
    pixels, readings, _ = read_images([Source(file) for file in files], Rules(channels=channels, size=SIZE, **rules))
    return pixels, readings


def save(image: Image.Image, file: Path, **options: Any) -> Path:
    image.save(file, **options)
    return file


# --- grey of more than eight bits ---------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", ["ramp.png", "ramp.tif", "ramp.pgm", "ramp.jp2"])
def test_16_bits_are_scaled_to_the_whole_range(tmp_path: Path, name: str, channels: int) -> None:
    options = {"irreversible": False} if name.endswith("jp2") else {}
    pixels, met = read(save(Image.fromarray(RAMP), tmp_path / name, **options), channels)
    for channel in pixels:
        assert np.abs(channel.astype(int) - IN_BYTES).max() <= (1 if name.endswith("jp2") else 0)
    assert met.images["deep"] == 1
    assert met.deepest == 65535


def test_half_of_16_bits_is_half_of_8() -> None:
    assert IN_BYTES.min() == 0
    assert IN_BYTES.max() == 255
    assert np.floor(32768 * (255 / 65535) + 0.5) == 128


def test_big_endian_16_bits_are_the_same_numbers(tmp_path: Path) -> None:
    raw = Image.frombytes("I;16B", (SIZE, SIZE), RAMP.astype(">u2").tobytes())
    pixels, _ = read(save(raw, tmp_path / "big.tif"))
    assert (pixels[0] == IN_BYTES).all()


def test_12_bits_in_16_are_said_and_scaled_by_white(tmp_path: Path) -> None:
    file = save(Image.fromarray(RAMP // 16), tmp_path / "twelve.png")
    dark, met = read(file)
    assert dark.max() == 16
    assert "white=4095 uses the whole range" in met.sentences(Rules(channels=1, size=SIZE))[-1]
    whole, _ = read(file, white=4095)
    assert (whole.min(), whole.max()) == (0, 255)
    with pytest.raises(DataError, match=r"twelve.png cannot be read as an image") as error:
        read(file, white=1000)
    assert "16-bit values from 0 to 4095; expected 0 to 1000" in error.value.why


def test_floats_from_0_to_1_are_scaled_and_others_are_refused(tmp_path: Path) -> None:
    unit = np.linspace(0, 1, SIZE * SIZE, dtype=np.float32).reshape(SIZE, SIZE)
    pixels, met = read(save(Image.fromarray(unit), tmp_path / "unit.tif"))
    assert (pixels[0] == np.floor(unit * 255 + 0.5)).all()
    assert met.images["float"] == 1
    for name, values in (("high", unit * 3), ("low", unit - 0.5), ("nan", np.full_like(unit, np.nan))):
        with pytest.raises(DataError, match=name):
            read(save(Image.fromarray(values), tmp_path / f"{name}.tif"))
    pixels, _ = read(tmp_path / "high.tif", white=3)
    assert (pixels.min(), pixels.max()) == (0, 255)


def test_32_bit_integers_need_white(tmp_path: Path) -> None:
    file = save(Image.fromarray(RAMP.astype(np.int32) * 100), tmp_path / "wide.tif")
    with pytest.raises(DataError) as error:
        read(file)
    assert "32-bit values from 0 to 6553500; the value of white is not known" in error.value.why
    assert error.value.fix == "store it as 8 bits"
    pixels, _ = read(file, white=6553500)
    assert (pixels[0] == IN_BYTES).all()


def tiff(file: Path, values: np.ndarray, photometric: int | None) -> Path:
    """Write a TIFF of one strip of grey, byte by byte: Pillow writes no deep one whose 0 is white."""
    bits, kind = values.dtype.itemsize * 8, {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    raw = values.astype(values.dtype.newbyteorder("<")).tobytes()
    tags = [(256, SIZE), (257, SIZE), (258, bits), (259, 1), (262, photometric), (273, 8), (277, 1), (278, SIZE),
            (279, len(raw)), (339, kind)]  # fmt: skip
    given = [(tag, value) for tag, value in tags if value is not None]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in given)
    head = struct.pack("<2sHI", b"II", 42, 8 + len(raw))
    file.write_bytes(head + raw + struct.pack("<H", len(given)) + entries + bytes(4))
    return file


@pytest.mark.parametrize(
    ("values", "white"),
    [
        (IN_BYTES, 0),
        (RAMP, 0),
        (RAMP // 16, 4095),
        (RAMP.astype(np.float32) / 65535, 0),
        (RAMP.astype(np.float32), 65535),
    ],
    ids=["8", "16", "12 in 16", "unit", "float"],
)
def test_a_tiff_whose_0_is_white_is_the_negative_of_one_whose_0_is_black(
    tmp_path: Path, values: np.ndarray, white: float
) -> None:
    rules = {"white": white} if white else {}
    black, _ = read(tiff(tmp_path / "black.tif", values, 1), **rules)
    inverted, met = read(tiff(tmp_path / "white.tif", values, 0), **rules)
    assert (black[0, 0, 0], black[0, -1, -1]) == (0, 255)
    assert np.abs(255 - black.astype(int) - inverted).max() <= 1  # halves are rounded up in both
    assert (inverted[0, 0, 0], inverted[0, -1, -1]) == (255, 0)
    assert met.images["negative"] == (values.dtype.itemsize > 1)


@pytest.mark.parametrize("kind", [np.uint16, np.int32, np.float32])
def test_a_deep_tiff_that_does_not_say_what_0_is_is_refused(tmp_path: Path, kind: type) -> None:
    with pytest.raises(DataError, match=r"odd\.tif") as error:
        read(tiff(tmp_path / "odd.tif", (RAMP // 65535).astype(kind), None), white=65535)
    # Pillow opens no such file of integers of 32 bits.
    assert ("of an unknown format" if kind is np.int32 else "whether 0 is black or white") in error.value.why


def test_16_bits_a_colour_are_read_by_their_upper_8(tmp_path: Path) -> None:
    # Pillow writes no such file: a PNG of 8 x 8 pixels of the colour (0x8040, 0x4020, 0x2010).
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    line = b"\0" + struct.pack(">3H", 0x8040, 0x4020, 0x2010) * SIZE
    head = struct.pack(">IIBBBBB", SIZE, SIZE, 16, 2, 0, 0, 0)
    parts = (chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(line * SIZE)), chunk(b"IEND", b""))
    (tmp_path / "deep.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    pixels, met = read(tmp_path / "deep.png", channels=3)
    assert pixels[:, 0, 0].tolist() == [0x80, 0x40, 0x20]
    assert met.images["colour"] == 1
    with pytest.raises(DataError, match=r"deep\.png"):
        read(tmp_path / "deep.png", channels=3, white=4095)


# --- transparency -------------------------------------------------------------------------------------------------


def shapes(mode: str, colour: int = 0) -> Image.Image:
    """An image of one colour, opaque in its upper half."""
    rgba = np.full((SIZE, SIZE, 4), colour, np.uint8)
    rgba[..., 3] = 0
    rgba[: SIZE // 2, :, 3] = 255
    return Image.fromarray(rgba).convert(mode)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("mode", "name"), [("RGBA", "a.png"), ("LA", "a.png"), ("RGBA", "a.webp"), ("RGBA", "a.tif"),
                                            ("RGBA", "a.gif"), ("RGBA", "a.tga"), ("RGBA", "a.ico")])  # fmt: skip
def test_transparent_parts_are_laid_on_the_background(tmp_path: Path, mode: str, name: str, channels: int) -> None:
    options = {"lossless": True} if name.endswith("webp") else {"sizes": [(SIZE, SIZE)]} if name.endswith("ico") else {}
    file = save(shapes(mode), tmp_path / name, **options)
    pixels, met = read(file, channels)
    assert (pixels[:, : SIZE // 2] == 0).all()
    assert (pixels[:, SIZE // 2 :] == 255).all()
    assert met.images["clear"] == 1
    assert (read(file, channels, background=0)[0] == 0).all()


@pytest.mark.parametrize("mode", ["P", "L", "RGB", "1"])
def test_a_transparent_colour_is_laid_on_the_background(tmp_path: Path, mode: str) -> None:
    image = Image.new("RGB", (SIZE, SIZE))
    image.paste((255, 255, 255), (0, 0, SIZE, SIZE // 2))
    image = image.convert(mode)
    clear = image.getpixel((0, SIZE - 1))
    pixels, met = read(save(image, tmp_path / "a.png", transparency=clear), background=100)
    assert (pixels[0, 0, 0], pixels[0, -1, -1]) == (255, 100)
    assert met.images["clear"] == 1


def test_a_palette_may_be_transparent_by_degrees(tmp_path: Path) -> None:
    image = Image.fromarray(np.arange(SIZE * SIZE, dtype=np.uint8).reshape(SIZE, SIZE))
    palette = image.convert("P")
    file = save(palette, tmp_path / "a.png", transparency=bytes([0, 128, *[255] * 254]))
    pixels, _ = read(file)
    assert pixels[0, 0, :3].tolist() == [255, 128, 2]


def test_a_transparent_level_of_16_bits_is_laid_on_the_background(tmp_path: Path) -> None:
    pixels, met = read(save(Image.fromarray(RAMP), tmp_path / "a.png", transparency=0))
    assert pixels[0, 0, :2].tolist() == [255, IN_BYTES[0, 1]]
    assert met.images["clear"] == 1


def test_an_opaque_image_with_alpha_is_as_one_without(tmp_path: Path) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), np.uint8)
    with_alpha = np.dstack([colours, np.full((SIZE, SIZE), 255, np.uint8)])
    pixels, met = read(save(Image.fromarray(with_alpha), tmp_path / "a.png"), channels=3)
    assert (pixels.transpose(1, 2, 0) == colours).all()
    assert not met.images["clear"]


# --- colours, orientation, frames ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("mode", "name"), [("CMYK", "a.tif"), ("CMYK", "a.jpg"), ("P", "a.png"),
                                            ("P", "a.gif"), ("RGB", "a.bmp"), ("RGB", "a.ppm")])  # fmt: skip
def test_colours_are_kept_whatever_the_mode(tmp_path: Path, mode: str, name: str) -> None:
    options = {"quality": 100} if name.endswith("jpg") else {}
    file = save(Image.new("RGB", (SIZE, SIZE), (204, 102, 51)).convert(mode), tmp_path / name, **options)
    pixels, met = read(file, channels=3)
    assert np.abs(pixels[:, 0, 0].astype(int) - [204, 102, 51]).max() <= 2
    assert met.images["cmyk"] == (mode == "CMYK")


def test_a_mode_without_a_conversion_is_refused(tmp_path: Path) -> None:
    file = save(Image.new("LAB", (SIZE, SIZE)), tmp_path / "lab.tif")
    with pytest.raises(DataError, match=r"lab\.tif cannot be read as an image"):
        read(file)


FORMATS = ["jpg", "png", "tif", "webp", *(["avif"] if ".avif" in _decode.endings() else [])]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", FORMATS)
def test_images_are_turned_as_their_orientation_says(tmp_path: Path, ending: str, orientation: int) -> None:
    corners = np.zeros((32, 32), np.uint8)
    corners[:16, :16], corners[:16, 16:], corners[16:, :16] = 240, 160, 80
    upright = Image.fromarray(corners).convert("RGB")
    # What a camera stores: the inverse of what a viewer is told to do.
    back = {2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE", 6: "ROTATE_90",
            7: "TRANSVERSE", 8: "ROTATE_270"}  # fmt: skip
    stored = upright.transpose(Image.Transpose[back[orientation]]) if orientation in back else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels, met = read(save(stored, tmp_path / f"a.{ending}", exif=exif, quality=100))
    assert [round(float(pixels[0, y, x]), -1) for y, x in ((1, 1), (1, -2), (-2, 1), (-2, -2))] == [240, 160, 80, 0]
    assert met.images["turned"] == (orientation > 1)


@pytest.mark.parametrize("orientation", [0, 9, 77])
def test_an_orientation_that_does_not_exist_turns_nothing(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels, met = read(save(Image.fromarray(IN_BYTES), tmp_path / "a.png", exif=exif))
    assert (pixels[0] == IN_BYTES).all()
    assert not met.images["turned"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"Exif\0\0garbage", False),
        (b"Exif\0\0II*\0\xff\xff\xff\xff", True),
        (b"Exif\0\0MM\0*\0\0\0\x08\0\x09", True),
    ],
)
def test_damaged_exif_data_does_not_spoil_the_pixels(tmp_path: Path, content: bytes, said: bool) -> None:
    pixels, met = read(save(Image.fromarray(IN_BYTES), tmp_path / "a.jpg", exif=content, quality=100))
    assert np.abs(pixels[0].astype(int) - IN_BYTES).max() <= 3
    assert bool(met.images["exif"] or met.warned) == said
    assert not met.images["turned"]


@pytest.mark.parametrize("name", ["a.gif", "a.png", "a.webp", "a.tif"])
def test_the_first_frame_of_several_is_read_and_said(tmp_path: Path, name: str) -> None:
    frames = [Image.new("RGB", (SIZE, SIZE), (level,) * 3) for level in (200, 100, 0)]
    options = {"lossless": True} if name.endswith("webp") else {}
    pixels, met = read(save(frames[0], tmp_path / name, save_all=True, append_images=frames[1:], **options))
    assert (pixels == 200).all()
    assert met.images["frames"] == 1
    assert "1 image with several frames or pages: the first is read" in met.sentences(Rules(channels=1, size=SIZE))


# --- files that are no images -------------------------------------------------------------------------------------


def test_every_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    good = save(Image.fromarray(IN_BYTES), tmp_path / "good.png")
    contents = {"empty.png": b"", "text.png": b"hello", "short.png": good.read_bytes()[:50],
                "eps.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n"}  # fmt: skip
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    files = [*(tmp_path / name for name in contents), tmp_path / "gone.png", good]
    pixels, found = read_all(files)
    unknown = "it is no image, or of an unknown format"
    problems = [one.problem for one in found]
    assert [problems[0], problems[1], *problems[3:]] == ["it is empty", unknown, unknown, "there is no such file", ""]
    assert problems[2]
    assert not pixels[:5].any()
    assert (pixels[5, 0] == IN_BYTES).all()
    error = unreadable(list(zip(files[:5], found, strict=False)), 6, "")
    assert "empty.png cannot be read as an image, nor can 4 others" in str(error)
    for name in ("text.png", "short.png", "eps.png"):
        assert name in str(error)


def test_the_reason_does_not_depend_on_where_a_file_is(tmp_path: Path) -> None:
    whole = save(Image.fromarray(RAMP), tmp_path / "a.png").read_bytes()
    for name in ("a.png", "other/b.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    _, (first, second) = read_all([tmp_path / "a.png", tmp_path / "other/b.png"])
    assert first.problem == second.problem != ""


def test_strict_reading_ends_after_many_bad_files(tmp_path: Path) -> None:
    files = [tmp_path / f"{n}.png" for n in range(50)]
    for file in files:
        file.write_bytes(b"x")
    _, readings, _ = read_images([Source(file) for file in files], Rules(channels=1, size=SIZE), strict=True)
    found = [one for one in readings if one.problem]
    assert len(found) == _reading._CHUNK
    assert f"nor can {_reading._ENOUGH - 1} others or more" in str(
        unreadable(list(zip(files, found, strict=False)), 50, "")
    )


@pytest.mark.parametrize(
    "name", ["a.png", "a.jpg", "a.gif", "a.tif", "a.webp", "a.bmp", "a.jp2", "a.ppm", "a.tga", "a.ico", "a.pcx"]
)
def test_no_damaged_file_ends_the_reading(tmp_path: Path, name: str) -> None:
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 256, (40, 30, 3), np.uint8))
    whole = save(noise, tmp_path / name).read_bytes()
    files = []
    for number in range(60):
        content = bytearray(whole[: rng.integers(1, len(whole))] if number % 2 else whole)
        for place in rng.integers(0, min(len(content), 300), 3):
            content[place] = rng.integers(256)
        files.append(tmp_path / f"{number}-{name}")
        files[-1].write_bytes(bytes(content))
    pixels, found = read_all(files, 3)
    assert len(found) == 60
    assert any(one.problem for one in found)
    for image, one in zip(pixels, found, strict=True):
        assert not (one.problem and image.any())
        assert bool(one.digest) or one.problem


def test_a_decompression_bomb_is_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = save(Image.new("1", (300, 300)), tmp_path / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 300 * 300 // 3)
    _, (found,) = read_all([file])
    assert "DecompressionBombError" in found.problem
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 300 * 300 - 1)  # only a warning
    _, (found,) = read_all([file])
    assert found.problem == ""
    assert "decompression bomb" in found.warned[0]


def test_warnings_belong_to_the_image_that_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_reading, "_CHUNK", 1)
    monkeypatch.setattr(_reading, "cores", lambda: 4)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 90 * 90)
    files = [save(Image.new("L", (100 if n % 3 == 0 else 80,) * 2), tmp_path / f"{n}.png") for n in range(60)]
    _, found = read_all(files)
    assert [bool(one.warned) for one in found] == [n % 3 == 0 for n in range(60)]


def test_large_images_are_decoded_one_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside: list[int] = []

    class Counted:
        lock = threading.Lock()

        def __enter__(self) -> None:
            self.lock.acquire()
            inside.append(threading.get_ident())

        def __exit__(self, *_: object) -> None:
            self.lock.release()

    monkeypatch.setattr(_decode, "_large", Counted())
    monkeypatch.setattr(_decode, "_LARGE", 20 * 20)
    monkeypatch.setattr(_reading, "_CHUNK", 1)
    files = [save(Image.new("L", (side, side), side), tmp_path / f"{side}.png") for side in (10, 20, 21, 40)]
    _, found = read_all([*files, tmp_path / "gone.png"])
    assert len(inside) == 2
    assert [bool(one.problem) for one in found] == [False] * 4 + [True]


def test_a_pipe_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    _, found = read_all([tmp_path / "pipe.png", Path("/dev/zero"), tmp_path])
    assert {one.problem for one in found} == {"it is not a regular file"}


def test_what_shows_the_same_has_one_digest_whatever_its_format(tmp_path: Path) -> None:
    grey = Image.fromarray(IN_BYTES)
    same = [
        save(grey, tmp_path / "grey.png"),
        save(grey.convert("RGB"), tmp_path / "colour.bmp"),
        save(grey.convert("RGBA"), tmp_path / "opaque.png"),
        save(grey.convert("P"), tmp_path / "palette.gif"),
    ]
    turned = save(grey.transpose(Image.Transpose.ROTATE_90), tmp_path / "turned.tif", exif=_oriented(6))
    clear = save(Image.merge("LA", (grey, Image.new("L", grey.size, 99))), tmp_path / "clear.png")
    deep = save(Image.fromarray(RAMP), tmp_path / "deep.png")
    digests = [one.digest for one in read_all([*same, turned, clear, deep])[1]]
    assert len(set(digests[:5])) == 1
    assert len(set(digests)) == 3
    assert digests == [one.digest for one in read_all([*same, turned, clear, deep], 3, background=7)[1]]


def _oriented(value: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


def test_formats_of_other_programs_are_not_opened() -> None:
    assert {".png", ".jpg", ".jfif", ".jpe", ".pgm", ".ppm", ".bmp", ".webp", ".tif"} <= _decode.endings()
    assert not _decode.endings() & {".eps", ".ps", ".pdf", ".wmf", ".mpg", ".h5"}


def test_an_image_in_memory_is_read_as_its_file_is(tmp_path: Path) -> None:
    image = Image.effect_noise((20, 13), 80).convert("RGBA")
    image.putalpha(90)
    image.save(tmp_path / "one.png")
    rules = Rules(channels=3, size=SIZE)
    with warnings_by_thread():
        of_file, of_image = (read_image(source, rules)[0] for source in (tmp_path / "one.png", image))
    np.testing.assert_array_equal(of_file, of_image)
    assert image.mode == "RGBA"


# --- squares --------------------------------------------------------------------------------------------------------


def photo(width: int, height: int) -> Image.Image:
    rng = np.random.default_rng(0)
    return Image.fromarray(rng.integers(0, 256, (height // 4, width // 4, 3), np.uint8)).resize((width, height))


@pytest.mark.parametrize("fast", [False, True])
def test_an_image_is_cut_padded_or_squashed(tmp_path: Path, fast: bool) -> None:
    image = photo(96, 48)
    file = save(image, tmp_path / "a.png")

    def made(fit: str, **rules: Any) -> np.ndarray:
        return read(file, 3, fit=fit, fast=fast, **rules)[0].astype(int)

    def resized(part: Image.Image, size: tuple[int, int]) -> np.ndarray:
        return np.asarray(part.resize(size, Image.Resampling.BICUBIC)).transpose(2, 0, 1).astype(int)

    within = 2 if fast else 0
    assert np.abs(made("squash") - resized(image, (SIZE, SIZE))).max() <= within
    assert np.abs(made("crop") - resized(image.crop((24, 0, 72, 48)), (SIZE, SIZE))).max() <= within
    padded = made("pad", background=7)
    quarter = SIZE // 4
    assert (padded[:, :quarter] == 7).all()
    assert (padded[:, -quarter:] == 7).all()
    assert np.abs(padded[:, quarter:-quarter] - resized(image, (SIZE, SIZE // 2))).max() <= within


def test_of_a_larger_stored_image_the_centre_is_taken(tmp_path: Path) -> None:
    file = save(photo(80, 60), tmp_path / "a.png")
    with warnings_by_thread():
        whole, _ = read_image(file, Rules(channels=3, size=20))
        centre, _ = read_image(file, Rules(channels=3, size=16, stored=20))
    np.testing.assert_array_equal(centre, whole[:, 2:18, 2:18])


def test_fast_reading_is_as_tolerant_as_its_rules_say(tmp_path: Path) -> None:
    for channels in (1, 3):
        for number, size in enumerate([(300, 239), (201, 350), (40, 40), (9, 30)]):
            file = save(photo(*size).convert("L" if channels == 1 else "RGB"), tmp_path / f"{number}.jpg")
            with warnings_by_thread():
                exact, fast = (read_image(file, Rules(channels=channels, size=64, fast=on)) for on in (False, True))
            difference = np.abs(exact[0].astype(int) - fast[0].astype(int))
            assert difference.max() <= 2
            assert difference.mean() < 0.05
            # The digest is that of the file.
            assert fast[1].digest == hashlib.blake2b(file.read_bytes(), digest_size=16).hexdigest()
