"""Every kind of file against pixels that are known: what was written is what the network sees."""

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, features
from torchvision.transforms import functional as TF

from bench.profiles import Preprocessing
from bench.workloads.images import decode as decoding
from bench.workloads.images.decode import decode
from zo_core.edge.device.images import UnreadableError, quietly

SIDE = 6
RNG = np.random.default_rng(0)
COLOURS = RNG.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
GREY = RNG.integers(0, 256, (SIDE, SIDE), dtype=np.uint8)
HOW = Preprocessing()


def pixels(path: Path, how: Preprocessing = HOW, size: int = SIDE) -> np.ndarray[Any, Any]:
    """(H, W, 3) as `decode` has them."""
    with quietly():
        return decode(path, size, how).pixels.permute(1, 2, 0).numpy()


def grey(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.repeat(values[:, :, None], 3, 2)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("plain.png", {}),
        ("WRONG EXTENSION.JPG", {"format": "PNG"}),
        ("bitmap.BMP", {}),
        ("plain.tiff", {}),
        ("packed.tif", {"compression": "tiff_lzw"}),
        ("plain.ppm", {}),
        ("lossless.webp", {"lossless": True}),
        ("wavelets.jp2", {}),
        ("with\nnewline and é.png", {}),
    ],
)
def test_colours_come_back_to_the_bit(tmp_path: Path, name: str, options: dict[str, Any]) -> None:
    Image.fromarray(COLOURS).save(tmp_path / name, **options)
    assert np.array_equal(pixels(tmp_path / name), COLOURS)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("baseline.jpeg", {"quality": 100, "subsampling": 0}),
        ("progressive.jfif", {"quality": 100, "subsampling": 0, "progressive": True, "format": "JPEG"}),
        ("next.avif", {"quality": 100, "subsampling": "4:4:4"}),
    ],
)
def test_lossy_colours_come_back_nearly(tmp_path: Path, name: str, options: dict[str, Any]) -> None:
    """Rounding to YCbCr and back is within 3 of 255."""
    if name.endswith("avif") and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    Image.fromarray(COLOURS).save(tmp_path / name, **options)
    assert np.abs(pixels(tmp_path / name).astype(int) - COLOURS).max() <= 3


def test_an_interlaced_png_is_read(tmp_path: Path) -> None:
    """Written by hand (PNG, section 8.2, Adam7): a single pixel is its first pass, whatever comes after is empty."""
    import struct
    import zlib

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">2I5B", 1, 1, 8, 2, 0, 0, 1)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes([0, 1, 2, 3])))
    (tmp_path / "adam7.png").write_bytes(data + chunk(b"IEND", b""))
    assert pixels(tmp_path / "adam7.png", size=2).reshape(-1, 3).tolist() == [[1, 2, 3]] * 4


@pytest.mark.parametrize("mode", ["L", "1"])
def test_grey_becomes_three_equal_channels(tmp_path: Path, mode: str) -> None:
    values = GREY if mode == "L" else (GREY > 127).astype(np.uint8) * np.uint8(255)
    Image.fromarray(values).convert(mode).save(tmp_path / "x.png")
    assert np.array_equal(pixels(tmp_path / "x.png"), grey(values))


@pytest.mark.parametrize("suffix", [".png", ".tif", ".pgm"])
def test_16_bit_grey_is_divided_by_257(tmp_path: Path, suffix: str) -> None:
    """Every 8-bit value, and those halfway to the next: 257 n is n, 257 n + 128 still is, 257 n + 129 is n + 1."""
    exact = np.arange(0, 36, dtype=np.uint16).reshape(SIDE, SIDE) * np.uint16(257 * 7)
    for added, expected in ((0, 0), (128, 0), (129, 1)):
        deep = exact + np.uint16(added)
        path = tmp_path / f"{added}{suffix}"
        if suffix == ".pgm":
            path.write_bytes(b"P5 6 6 65535\n" + deep.astype(">u2").tobytes())
        else:
            Image.fromarray(deep).save(path)
        assert np.array_equal(pixels(path), grey((exact // 257 + expected).astype(np.uint8))), added


def test_16_bit_white_and_black(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 65535]] * 2, dtype=np.uint16)).save(tmp_path / "x.png")
    assert pixels(tmp_path / "x.png", size=2)[0].tolist() == [[0] * 3, [255] * 3]


def test_cmyk_is_what_its_inks_print(tmp_path: Path) -> None:
    """Cyan takes red away, and so on; black takes all: (255 - ink)(255 - black) / 255."""
    inks = np.array([[[0, 0, 0, 0], [255, 0, 0, 0]], [[0, 255, 255, 0], [0, 0, 0, 255]]], dtype=np.uint8)
    expected = [[[255, 255, 255], [0, 255, 255]], [[255, 0, 0], [0, 0, 0]]]
    Image.fromarray(inks, mode="CMYK").save(tmp_path / "x.tif")
    assert pixels(tmp_path / "x.tif", size=2).tolist() == expected
    plain = Image.new("CMYK", (16, 16), (0, 200, 100, 50))
    plain.save(tmp_path / "x.jpg", quality=100)  # which JPEG keeps inverted
    assert np.abs(pixels(tmp_path / "x.jpg", size=16)[8, 8] - np.array([205, 44, 125])).max() <= 2


BACKGROUNDS = [[255, 255, 255], [10, 20, 30]]


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_transparent_pixels_are_laid_on_the_background(tmp_path: Path, background: list[int]) -> None:
    """Hidden colours do not show; half of each at half."""
    shades = np.zeros((2, 2, 4), dtype=np.uint8)
    shades[..., :3], shades[..., 3] = 200, [[255, 0], [0, 128]]
    half = [round((200 * 128 + 127 * under) / 255) for under in background]
    for name in ("x.png", "x.webp", "x.tif"):
        Image.fromarray(shades).save(tmp_path / name, **({"lossless": True, "exact": True} if "webp" in name else {}))
        seen = pixels(tmp_path / name, Preprocessing(background=background), 2)
        assert seen[0].tolist() == [[200] * 3, background]
        assert np.abs(seen[1, 1] - np.array(half)).max() <= 1


@pytest.mark.parametrize("kind", ["LA", "palette", "gif", "grey key", "colour key", "16-bit key"])
def test_whatever_way_transparency_is_written(tmp_path: Path, kind: str) -> None:
    """Left pixel opaque and 100 bright, right one transparent with some colour of its own under it."""
    path = tmp_path / ("x.gif" if kind == "gif" else "x.png")
    values = np.array([[100, 7]] * 2, dtype=np.uint8)
    if kind == "LA":
        Image.fromarray(np.dstack([values, (values > 50).astype(np.uint8) * np.uint8(255)]), mode="LA").save(path)
    elif kind in ("palette", "gif"):
        image = Image.fromarray((values < 50).astype(np.uint8), mode="P")
        image.putpalette([100, 100, 100, 7, 7, 7])
        image.save(path, transparency=1)
    elif kind == "16-bit key":
        Image.fromarray(values.astype(np.uint16) * np.uint16(257)).save(path, transparency=7 * 257)
    elif kind == "grey key":
        Image.fromarray(values).save(path, transparency=7)
    else:
        Image.fromarray(grey(values)).save(path, transparency=(7, 7, 7))
    assert pixels(path, Preprocessing(background=[1, 2, 3]), 2)[0].tolist() == [[100] * 3, [1, 2, 3]]


@pytest.mark.parametrize("name", ["x.jpg", "x.png", "x.webp", "x.tif"])
@pytest.mark.parametrize(
    ("orientation", "stored"),
    [
        (1, lambda a: a),
        (2, lambda a: a[:, ::-1]),
        (3, lambda a: a[::-1, ::-1]),
        (4, lambda a: a[::-1]),
        (5, lambda a: a.transpose(1, 0, 2)),
        (6, lambda a: np.rot90(a)),  # the camera lay on its right side: turn clockwise to see it
        (7, lambda a: a[::-1, ::-1].transpose(1, 0, 2)),
        (8, lambda a: np.rot90(a, -1)),
    ],
)
def test_images_stand_upright(tmp_path: Path, orientation: int, stored: Any, name: str) -> None:
    """Four corners of four colours (EXIF 2.32, tag 0x0112)."""
    scene = np.zeros((16, 16, 3), dtype=np.uint8)
    scene[:8, :8], scene[:8, 8:], scene[8:, :8] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    image = Image.fromarray(np.ascontiguousarray(stored(scene)))
    exif = image.getexif()
    exif[0x0112] = orientation
    image.save(tmp_path / name, exif=exif, **({"quality": 100} if name != "x.tif" else {}))
    seen = pixels(tmp_path / name, size=16)
    assert np.abs(seen[[4, 4, 12, 12], [4, 12, 4, 12]].astype(int) - scene[[4, 4, 12, 12], [4, 12, 4, 12]]).max() <= 5


@pytest.mark.parametrize("name", ["x.gif", "x.png", "x.webp", "x.tiff"])
def test_of_several_frames_the_first_is_read_and_the_file_is_marked(tmp_path: Path, name: str) -> None:
    first, second = (Image.new("RGB", (SIDE, SIDE), colour) for colour in ((255, 0, 0), (0, 0, 255)))
    first.save(tmp_path / name, save_all=True, append_images=[second], **({"lossless": True} if "w" in name else {}))
    found = decode(tmp_path / name, SIDE, HOW)
    assert found.animated
    assert found.pixels[:, 0, 0].tolist() == [255, 0, 0]
    first.save(tmp_path / f"still {name}")
    assert not decode(tmp_path / f"still {name}", SIDE, HOW).animated


def test_a_photograph_with_a_preview_beside_it_is_no_animation(tmp_path: Path) -> None:
    image = Image.fromarray(COLOURS)
    image.save(tmp_path / "phone.jpg", format="MPO", save_all=True, append_images=[image], quality=100)
    assert not decode(tmp_path / "phone.jpg", SIDE, HOW).animated


def test_the_hash_is_that_of_the_file(tmp_path: Path) -> None:
    Image.fromarray(COLOURS).save(tmp_path / "x.png")
    expected = hashlib.sha256((tmp_path / "x.png").read_bytes()).hexdigest()
    assert {decode(tmp_path / "x.png", size, HOW).sha256 for size in (2, 6)} == {expected}


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize(("resize", "size"), [(None, 24), (40, 32), ([48, 40], 32)])
@pytest.mark.parametrize("shape", [(50, 70), (71, 33), (24, 24), (1, 1)])
def test_squares_are_torchvisions(
    tmp_path: Path, interpolation: str, resize: Any, size: int, shape: tuple[int, int]
) -> None:
    from torchvision.transforms import CenterCrop, Compose, InterpolationMode, PILToTensor, Resize

    image = Image.fromarray(np.random.default_rng(1).integers(0, 256, (*shape, 3), dtype=np.uint8))
    image.save(tmp_path / "x.png")
    mode = InterpolationMode(interpolation)
    theirs = Compose([Resize(resize or size, mode, antialias=True), CenterCrop(size), PILToTensor()])(image)
    how = Preprocessing(resize=resize, interpolation=interpolation)
    assert torch.equal(decode(tmp_path / "x.png", size, how).pixels, theirs)


def broken(folder: Path, kind: str) -> Path:
    """A file that no image can be made of."""
    path = folder / f"{kind}.png"
    if kind == "empty":
        path.touch()
    elif kind == "text":
        path.write_text("no image")
    elif kind == "truncated":
        Image.fromarray(RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(path, format="JPEG")
        path.write_bytes(path.read_bytes()[:-34])
    elif kind == "bomb":
        Image.new("1", (10_000, 9_000)).save(path)
    elif kind == "larger bomb":
        Image.new("1", (20_000, 10_000)).save(path)
    elif kind == "thread":
        Image.new("RGB", (40_000, 1)).save(path)
    elif kind == "float":
        Image.fromarray(np.zeros((4, 4), dtype=np.float32)).save(path, format="TIFF")
    elif kind == "integer":
        Image.fromarray(np.zeros((4, 4), dtype=np.int32)).save(path, format="TIFF")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "program":
        path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\nshowpage\n")
    else:
        path.symlink_to(path if kind == "loop" else folder / "nowhere")
    return path


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("empty", "empty"),
        ("text", "not of a kind that can be read"),
        ("program", "not of a kind that can be read"),
        ("truncated", "image file is truncated"),
        ("bomb", "more than 89,478,485 pixels"),
        ("larger bomb", "more than 89,478,485 pixels"),
        ("thread", "40000 x 1 pixels are too long and narrow to be scaled"),
        ("float", "32-bit floating-point numbers, whose range is not known: save it with 8 or 16 bits"),
        ("integer", "32-bit integers, whose range is not known: save it with 8 or 16 bits"),
        ("pipe", "no ordinary file"),
        ("broken link", "No such file or directory"),
        ("loop", "Too many levels of symbolic links"),
    ],
)
def test_why_a_file_cannot_be_read(tmp_path: Path, kind: str, reason: str) -> None:
    with pytest.raises(UnreadableError) as error, quietly():
        decode(broken(tmp_path, kind), 224, HOW)
    assert str(error.value) == reason


def test_heic_says_what_it_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pillow-heif, whether it is installed here or not."""
    monkeypatch.setattr(decoding, "_formats", lambda: ("PNG",))
    (tmp_path / "IMG_1.HEIC").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    with pytest.raises(UnreadableError, match="HEIC, which needs the package pillow-heif"):
        decode(tmp_path / "IMG_1.HEIC", SIDE, HOW)


def test_pillows_warnings_are_no_errors(tmp_path: Path) -> None:
    """Palette with bytes of transparency: Pillow warns of the conversion, which `-W error` makes an error."""
    image = Image.fromarray(np.zeros((SIDE, SIDE), dtype=np.uint8), mode="P")
    image.putpalette([9, 9, 9])
    image.save(tmp_path / "x.png", transparency=b"\xff\x00")
    assert pixels(tmp_path / "x.png").reshape(-1, 3).tolist() == [[9, 9, 9]] * SIDE**2


def test_a_square_of_a_tensor_is_torchvisions() -> None:
    from bench.workloads.images.preprocessing import square

    images = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    expected = TF.center_crop(TF.resize(images, 12, antialias=True), [10, 10])
    assert torch.equal(square(images, 10, Preprocessing(resize=12)), expected)
    assert torch.equal(square(images, 8, HOW), images)
