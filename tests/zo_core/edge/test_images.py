"""Preprocessing without torch against torchvision's own transforms, and the suite's decoder, to the bit."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms
from torchvision.transforms import InterpolationMode

from bench.profiles import Preprocessing as SuitePreprocessing
from bench.workloads.images.decode import decode
from zo_core.edge.device.images import quietly, read_image
from zo_core.edge.package import PackageError, Preprocessing

RNG = np.random.default_rng(0)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
GREY, COLOURS = RNG.integers(0, 256, (37, 53), dtype=np.uint8), RNG.integers(0, 256, (37, 53, 3), dtype=np.uint8)
ALPHA = RNG.integers(0, 256, (37, 53, 4), dtype=np.uint8)
ORIENTATION = 0x0112
ROTATED = Image.Exif()
ROTATED[ORIENTATION] = 6

KINDS: dict[str, tuple[Image.Image, str, dict[str, Any]]] = {
    "colours": (Image.fromarray(COLOURS), "png", {}),
    "upright": (Image.fromarray(COLOURS.transpose(1, 0, 2).copy()), "png", {}),
    "jpeg": (Image.fromarray(COLOURS), "jpg", {}),
    "grey": (Image.fromarray(GREY), "png", {}),
    "transparent": (Image.fromarray(ALPHA), "png", {}),
    "grey and transparent": (Image.fromarray(ALPHA).convert("LA"), "png", {}),
    "16 bits": (Image.fromarray(GREY.astype(np.uint16) * 257), "png", {}),
    "palette": (Image.fromarray(COLOURS).convert("P", palette=Image.Palette.ADAPTIVE), "png", {}),
    "palette with a transparent colour": (
        Image.fromarray(COLOURS).convert("P", palette=Image.Palette.ADAPTIVE),
        "png",
        {"transparency": 3},
    ),
    "one bit": (Image.fromarray(GREY).convert("1"), "png", {}),
    "rotated": (Image.fromarray(COLOURS), "jpg", {"exif": ROTATED}),
    "print": (Image.fromarray(COLOURS).convert("CMYK"), "jpg", {}),
    "animated": (Image.fromarray(COLOURS), "gif", {"save_all": True, "append_images": [Image.fromarray(GREY)]}),
}
RESIZES: list[tuple[int, int | tuple[int, int]]] = [
    (32, 32),
    (24, 40),
    (37, 37),
    (17, 37),
    (8, 64),
    (20, (20, 33)),
    (21, (48, 22)),
]


def saved(kind: str, folder: Path) -> Path:
    image, suffix, options = KINDS[kind]
    path = folder / f"picture.{suffix}"
    image.save(path, **options)
    return path


def how(size: int, resize: int | tuple[int, int], interpolation: str, channels: int = 3) -> Preprocessing:
    return Preprocessing(channels, size, resize, interpolation, MEAN[:channels], STD[:channels])


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize(("size", "resize"), RESIZES)
@pytest.mark.parametrize("kind", ["colours", "upright", "jpeg"])
def test_colours_are_what_torchvision_makes_of_them(
    tmp_path: Path, kind: str, size: int, resize: int | tuple[int, int], interpolation: str
) -> None:
    path = saved(kind, tmp_path)
    wanted = transforms.Compose(
        [
            transforms.Resize(resize, InterpolationMode(interpolation), antialias=True),
            transforms.CenterCrop(size),
            transforms.ToTensor(),
            transforms.Normalize(MEAN, STD),
        ]
    )(Image.open(path).convert("RGB"))
    found = read_image(path, how(size, resize, interpolation))
    assert found.dtype == np.float32
    assert torch.equal(torch.from_numpy(found.copy()), wanted)


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize(("size", "resize"), RESIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_what_the_suite_makes_of_it(
    tmp_path: Path, kind: str, size: int, resize: int | tuple[int, int], interpolation: str
) -> None:
    path = saved(kind, tmp_path)
    theirs = SuitePreprocessing.model_validate(
        {"resize": list(resize) if isinstance(resize, tuple) else resize, "interpolation": interpolation}
    )
    with quietly():
        pixels = decode(path, size, theirs).pixels
    wanted = transforms.Normalize(MEAN, STD)(pixels.float().div(255))
    assert torch.equal(torch.from_numpy(read_image(path, how(size, resize, interpolation)).copy()), wanted)


def test_what_is_written_is_what_the_network_sees(tmp_path: Path) -> None:
    """Without resizing: grey of 8 and of 16 bits, what EXIF turns, and transparent pixels on their background."""
    square = GREY[:32, :32]
    plain = Preprocessing(3, 32, 32, "bilinear", (0.0,) * 3, (1.0,) * 3, (255, 0, 128))

    def seen(image: Image.Image, how: Preprocessing = plain, **options: Any) -> np.ndarray[Any, Any]:
        image.save(tmp_path / "picture.png", **options)
        return np.rint(read_image(tmp_path / "picture.png", how) * 255).astype(int)

    assert np.array_equal(seen(Image.fromarray(square)), np.stack([square] * 3))
    assert np.array_equal(seen(Image.fromarray(square.astype(np.uint16) * 257)), np.stack([square] * 3))
    assert np.array_equal(seen(Image.fromarray(square), exif=ROTATED), np.stack([np.rot90(square, -1)] * 3))
    clear = np.zeros((32, 32, 4), np.uint8)
    assert seen(Image.fromarray(clear))[:, 5, 5].tolist() == [255, 0, 128]
    grey = Preprocessing(1, 32, 32, "bilinear", (0.5,), (0.25,))
    Image.fromarray(square).save(tmp_path / "grey.png")
    found = read_image(tmp_path / "grey.png", grey)
    wanted = (square[None].astype(np.float32) / np.float32(255) - np.float32(0.5)) / np.float32(0.25)
    assert np.array_equal(found, wanted)


def test_colours_become_grey_as_torchvision_has_it(tmp_path: Path) -> None:
    path = saved("colours", tmp_path)
    wanted = transforms.Compose(
        [transforms.Resize(40), transforms.CenterCrop(24), transforms.Grayscale(), transforms.ToTensor()]
    )(Image.open(path))
    found = read_image(path, Preprocessing(1, 24, 40, "bilinear", (0.0,), (1.0,)))
    assert torch.equal(torch.from_numpy(found.copy()), wanted)


def unreadable(folder: Path) -> dict[str, Path]:
    """Files that no image can be made of."""
    whole = saved("jpeg", folder).read_bytes()
    png = saved("colours", folder).read_bytes()
    contents = {
        "empty.png": b"",
        "text.jpg": b"no picture",
        "half.jpg": whole[: len(whole) // 2],
        "half.png": png[: len(png) // 2],
        "header.png": png[:30],
        "postscript.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n",
        "huge.png": huge(),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    Image.fromarray(GREY.astype(np.float32)).save(folder / "floats.tiff")
    Image.new("L", (1, 30_000)).save(folder / "narrow.png")
    (folder / "folder.png").mkdir()
    return {name: folder / name for name in (*contents, "floats.tiff", "narrow.png", "folder.png", "absent.png")}


def huge() -> bytes:
    """A PNG of some bytes that says that it has 10^10 pixels."""
    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 10)) + chunk(b"IEND", b"")
    )


NAMES = ["empty.png", "text.jpg", "half.jpg", "half.png", "header.png", "postscript.png", "huge.png"]


@pytest.mark.parametrize("name", [*NAMES, "floats.tiff", "narrow.png", "folder.png", "absent.png"])
def test_what_cannot_be_read_is_told_in_a_line_by_its_name(tmp_path: Path, name: str) -> None:
    path = unreadable(tmp_path)[name]
    with pytest.raises(PackageError, match=r"\A[^\n]+: no image that can be read: [^\n]+\Z") as caught:
        read_image(path, how(32, 64, "bilinear"))
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize("kind", ["colours", "palette", "jpeg", "animated"])
def test_damage_at_any_place_is_told_or_read(tmp_path: Path, kind: str) -> None:
    """Whatever Pillow makes of it; and without a warning, which would be an error here."""
    whole = saved(kind, tmp_path).read_bytes()
    damaged, told = tmp_path / "damaged", 0
    for place in range(0, len(whole), max(1, len(whole) // 80)):
        damaged.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            assert read_image(damaged, how(32, 32, "bilinear")).shape == (3, 32, 32)
        except PackageError as error:
            told += len(str(error).splitlines()) == 1
            continue
    assert told > 0
