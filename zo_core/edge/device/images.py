"""A picture as what a network takes, with Pillow and numpy alone; to the bit what torchvision's transforms make of it.

Whatever a file holds becomes red, green and blue of 8 bits, upright: EXIF orientation is honoured, transparent pixels
are laid on a background, 16-bit grey is divided by 257, and of several frames the first is taken.
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from zo_core.edge.package import PackageError, Preprocessing
from zo_core.engine.flat import Numbers

FORMATS = ("AVIF", "BMP", "DIB", "GIF", "HEIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
MOST_PIXELS = 89_478_485  # beyond which Pillow warns of a decompression bomb
DEEP_GREY = ("I;16", "I;16B", "I;16L", "I;16N")
RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}


class UnreadableError(ValueError):
    """A file that no image can be made of; the message says why in a few words, without its name."""


def read_image(path: Path, how: Preprocessing) -> Numbers:
    """(C, size, size) float32, standardized; raises PackageError, with the file's name, if it holds no image."""
    try:
        with quietly(), Image.open(path) as image:
            if image.format not in (*FORMATS, "MPO"):  # a JPEG with more frames; others may run programs
                raise UnreadableError(f"{image.format} is not read here")
            cut = square(upright(image, how.background), how)
    except MemoryError:
        raise
    except Exception as error:  # whatever a damaged file makes of itself
        reason = "not of a kind that is known" if isinstance(error, UnidentifiedImageError) else str(error)
        said = reason.strip().splitlines()[0] if reason.strip() else type(error).__name__
        raise PackageError(f"{path}: no image that can be read: {said}") from None
    pixels = np.asarray(cut if how.channels == 3 else cut.convert("L"), dtype=np.float32) / np.float32(255)
    mean, std = np.asarray(how.mean, np.float32), np.asarray(how.std, np.float32)
    result: Numbers = ((pixels.reshape(how.size, how.size, how.channels) - mean) / std).transpose(2, 0, 1)
    return result


@contextmanager
def quietly() -> Iterator[None]:
    """Without Pillow's warnings of odd files, and with its warning of too many pixels as an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def square(image: Image.Image, how: Preprocessing) -> Image.Image:
    """Scale the picture, and cut the square out of its centre."""
    width, height = image.size
    if isinstance(how.resize, int):
        scale = min(width, height)
        to = (int(how.resize * width / scale), int(how.resize * height / scale))
    else:
        to = how.resize[1], how.resize[0]
    if to[0] * to[1] > MOST_PIXELS:
        raise UnreadableError(f"{width} x {height} pixels are too long and narrow to be scaled")
    scaled = image if to == image.size else image.resize(to, RESAMPLING[how.interpolation])
    left, top = (round((side - how.size) / 2) for side in to)
    return scaled.crop((left, top, left + how.size, top + how.size))


def upright(image: Image.Image, background: Sequence[int]) -> Image.Image:
    """The picture as it is meant to be seen, in red, green and blue.

    Raises:
        UnreadableError: its numbers have no known range.
    """
    image.load()
    ImageOps.exif_transpose(image, in_place=True)
    if image.mode in DEEP_GREY or (image.mode == "I" and image.format == "PPM"):  # which Pillow scales to 16 bits
        image = _eight_bits(image)
    if image.mode in ("I", "F"):
        numbers = "integers" if image.mode == "I" else "floating-point numbers"
        raise UnreadableError(f"32-bit {numbers}, whose range is not known: save it with 8 or 16 bits")
    if not image.has_transparency_data:
        return image if image.mode == "RGB" else image.convert("RGB")
    canvas = Image.new("RGBA", image.size, (*background, 255))
    return Image.alpha_composite(canvas, image.convert("RGBA")).convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """16-bit grey from 0 to 255, rounded; the grey that counts as transparent becomes an alpha channel."""
    deep = np.asarray(image).astype(np.uint32)
    grey = Image.fromarray(((deep + 128) // 257).astype(np.uint8))
    if "transparency" in image.info:
        opaque = (deep != image.info["transparency"]).astype(np.uint8)
        grey.putalpha(Image.fromarray(opaque * np.uint8(255)))
    return grey
