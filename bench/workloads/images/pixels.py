"""Files decoded once: pixels stay in memory while they are few, and in a file on disk when they are many.

The file has no name, so nothing of it stays behind; it is read batch by batch, since a memory map would count as the
process's memory.
"""

import os
import shutil
import tempfile
import time
import weakref
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Protocol

import torch
from PIL import Image
from torch import Tensor

from bench.base.progress import PLAIN_LINE_S
from bench.base.sizes import MIB, mib
from bench.profiles import Preprocessing
from bench.workloads.images.decode import decode
from bench.workloads.images.folder import Files
from zo_core.edge.device.images import UnreadableError, quietly

MOST_IN_MEMORY = 256 * MIB
MOST_WORKERS = 4  # each holds an image, and one more while it turns it upright
WHOLE = 64 * MIB  # of an image in one piece: pieces of 1 MiB, Pillow's own size, stay with their thread when it is gone
CHANNELS = 3


class Pixels(Protocol):
    """Images by their places: (n,) int64 to (n, C, H, W)."""

    def __getitem__(self, places: Tensor, /) -> Tensor: ...


@dataclass(frozen=True)
class Chosen:
    """Some of the images, in an order of their own."""

    pixels: Pixels
    places: Tensor

    def __getitem__(self, places: Tensor) -> Tensor:
        return self.pixels[self.places[places]]


class PixelFile:
    """(count, 3, size, size) uint8 on disk.

    Raises:
        ValueError: there is too little room, or nothing can be written.
    """

    def __init__(self, count: int, size: int, folder: Path) -> None:
        self._shape = (CHANNELS, size, size)
        self._each = CHANNELS * size * size
        self._lock = Lock()
        needed = count * self._each
        try:
            folder.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(folder).free
            if free < needed:
                raise ValueError(
                    f"{count:,} images of {size} pixels take {mib(needed)} in {folder}, which has {mib(free)}: choose "
                    "another folder, a smaller image_size, or train_per_class"
                )
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  (as long as the data are there)
        except OSError as error:
            raise ValueError(f"cannot write into the folder {folder}: {error.strerror}; choose another") from None
        weakref.finalize(self, self._file.close)

    def __setitem__(self, place: int, pixels: Tensor) -> None:
        with self._lock:
            self._file.seek(place * self._each)
            self._file.write(pixels.contiguous().numpy().data)

    def __getitem__(self, places: Tensor) -> Tensor:
        batch = torch.empty((len(places), *self._shape), dtype=torch.uint8)
        for image, place in zip(batch, places.tolist(), strict=True):
            self._file.seek(place * self._each)
            self._file.readinto(image.numpy().data)
        return batch


@dataclass(frozen=True)
class DecodedFiles:
    """What became of files; lists and keys count them in their order.

    Attributes:
        pixels: at the places of those that could be read.
        sha256: of each file that could be read; else empty.
        reasons: why a file could not be read, by its place.
        animated: names of those with more frames than the first.
    """

    pixels: Pixels
    sha256: list[str]
    reasons: dict[int, str] = field(default_factory=dict)
    animated: list[str] = field(default_factory=list)


def decode_all(files: Files, size: int, how: Preprocessing, scratch: Path, tell: Callable[[str], None]) -> DecodedFiles:
    """Decode all files, several at once.

    Args:
        size: width and height in pixels.
        scratch: folder for pixels that are too many for memory.
        tell: is told, in a line every so often, how far it is.

    Raises:
        ValueError: the folder has too little room.
    """
    count = len(files)
    small = count * CHANNELS * size * size <= MOST_IN_MEMORY
    store = torch.empty((count, CHANNELS, size, size), dtype=torch.uint8) if small else PixelFile(count, size, scratch)
    found = DecodedFiles(store, [""] * count)

    def read(place: int) -> None:
        try:
            image = decode(files.paths[place], size, how)
        except UnreadableError as error:
            found.reasons[place] = str(error)
            return
        store[place] = image.pixels
        found.sha256[place] = image.sha256
        if image.animated:
            found.animated.append(files.names[place])

    Image.core.set_block_size(WHOLE)  # type: ignore[attr-defined]
    with quietly(), ThreadPoolExecutor(min(MOST_WORKERS, os.cpu_count() or 1)) as pool:
        try:
            _wait([pool.submit(read, place) for place in range(count)], scratch, tell)
        finally:
            pool.shutdown(cancel_futures=True)
    found.animated.sort()
    return found


def _wait(futures: list[Future[None]], scratch: Path, tell: Callable[[str], None]) -> None:
    """Wait for all of them; raises ValueError if the pixels of an image could not be kept."""
    spoken = time.perf_counter()
    try:
        for done, future in enumerate(as_completed(futures), start=1):
            future.result()
            if time.perf_counter() - spoken > PLAIN_LINE_S:
                spoken = time.perf_counter()
                tell(f"  {done:,} of {len(futures):,} images decoded")
    except OSError as error:
        raise ValueError(f"pixels cannot be written into {scratch}: {error.strerror}; choose another folder") from None
