"""One image file as the square of pixels that a network sees, or why it cannot be read.

Whatever a file holds becomes red, green and blue of 8 bits, upright: EXIF orientation is honoured, transparent pixels
are laid on a background, 16-bit grey is divided by 257, and of several frames the first is taken. Pillow reads PNG's
16-bit colours by their upper 8 bits; colour profiles are not applied.
"""

import hashlib
import importlib
import importlib.util
import re
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Lock

from PIL import Image, UnidentifiedImageError
from torch import Tensor
from torchvision.transforms import functional as TF

from bench.profiles import Preprocessing
from bench.workloads.images.preprocessing import square
from zo_core.edge.device.images import FORMATS, MOST_PIXELS, UnreadableError, upright

HEIF = (".heic", ".heics", ".heif", ".heifs", ".hif")
SUFFIXES = {  # of images, whether they can be read here or not
    *(".apng", ".avif", ".avifs", ".bmp", ".dib", ".gif", ".j2k", ".jfif", ".jif", ".jp2", ".jpe", ".jpeg", ".jpf"),
    *(".jpg", ".jpx", ".mpo", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp", *HEIF),
    *(".arw", ".cr2", ".cr3", ".dng", ".eps", ".exr", ".hdr", ".ico", ".jxl", ".nef", ".orf", ".pcx", ".psd", ".raf"),
    *(".raw", ".rw2", ".svg", ".svgz", ".tga", ".xcf"),
}
MANY_PIXELS, ONE_AT_A_TIME = 2**24, Lock()


@dataclass(frozen=True)
class Decoded:
    """An image.

    Attributes:
        pixels: (3, size, size) uint8.
        sha256: of the file.
        animated: whether there are more frames than the one that was read.
    """

    pixels: Tensor
    sha256: str
    animated: bool


def decode(path: Path, size: int, how: Preprocessing) -> Decoded:
    """Read an image; where `quietly` holds, also one of more pixels than Pillow warns of is refused.

    Raises:
        UnreadableError: the file is damaged, empty, of another kind, or too large.
    """
    try:
        if path.exists() and not path.is_file():  # reading a pipe would wait for ever
            raise UnreadableError("no ordinary file")
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            if not file.tell():
                raise UnreadableError("empty")
            file.seek(0)
            with Image.open(file, formats=_formats()) as image, _alone(image):
                pixels = TF.pil_to_tensor(square(_sound(upright(image, how.background), size, how), size, how))
                return Decoded(pixels, digest, image.format != "MPO" and getattr(image, "is_animated", False))
    except Exception as error:  # whatever a damaged file makes of itself
        raise UnreadableError(_reason(error, path)) from None


def _alone(image: Image.Image) -> AbstractContextManager[object]:
    """Large images are decoded one after the other, so that all cores together need no more memory than a few do."""
    return ONE_AT_A_TIME if image.width * image.height > MANY_PIXELS else nullcontext()


def _sound(image: Image.Image, size: int, how: Preprocessing) -> Image.Image:
    """The image, unless scaling its shorter side would make a longer one that no memory holds."""
    shorter, longer = sorted(image.size)
    side = how.resize or size
    if isinstance(side, int) and side * side * longer / shorter > MOST_PIXELS:
        raise UnreadableError(f"{image.width} x {image.height} pixels are too long and narrow to be scaled")
    return image


@cache
def _formats() -> tuple[str, ...]:
    """What is tried, whatever a file is called: HEIF where pillow-heif is installed, and nothing that runs programs."""
    if importlib.util.find_spec("pillow_heif") is not None:
        importlib.import_module("pillow_heif").register_heif_opener()
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _reason(error: Exception, path: Path) -> str:
    """Why, the same for all files of which it is true."""
    if isinstance(error, UnidentifiedImageError):
        if path.suffix.lower() in HEIF and "HEIF" not in _formats():
            return "HEIC, which needs the package pillow-heif"
        return "not of a kind that can be read"
    if isinstance(error, (Image.DecompressionBombError, Image.DecompressionBombWarning)):
        return f"more than {MOST_PIXELS:,} pixels"
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return re.sub(r" ?\([^()]*\)$", "", said.split("\n")[0]) or type(error).__name__
