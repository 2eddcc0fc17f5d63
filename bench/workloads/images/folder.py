"""A folder of class folders: which files are images of which class, and what is left out, by reason."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from bench.workloads.images.decode import SUFFIXES

OF_THE_SYSTEM = {
    *("__macosx", "@eadir", "#recycle", "$recycle.bin", "system volume information", "lost+found"),
    *("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"),
}
HIDDEN = "hidden or the system's own"
NO_IMAGE = "no image by its name"
BESIDE = "beside the class folders"
BESIDE_PARTS = "beside train/ and test/"
MET = "a link to a folder that was read"


@dataclass(frozen=True)
class Files:
    """Image files that are yet to be decoded.

    Attributes:
        names: their paths in the data folder, with "/".
    """

    paths: tuple[Path, ...]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.paths)

    def __add__(self, others: "Files") -> "Files":
        return Files(self.paths + others.paths, self.names + others.names)

    def __getitem__(self, places: Tensor) -> "Files":
        """Those at (n,) int64 places, in that order."""
        chosen = places.tolist()
        return Files(tuple(self.paths[place] for place in chosen), tuple(self.names[place] for place in chosen))


@dataclass
class Left:
    """What no sample is made of.

    Attributes:
        data: the data folder, from which names count.
        out: names by reason; those of folders end with "/".
        unreadable: reasons by name.
    """

    data: Path
    out: dict[str, list[str]] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)

    def leave(self, reason: str, path: Path) -> None:
        """Leave out what is no image."""
        self.out.setdefault(reason, []).append(named(path, self.data) + ("/" if path.is_dir() else ""))

    def denied(self, error: OSError) -> None:
        """A folder may not be read."""
        self.unreadable[named(Path(str(error.filename)), self.data) + "/"] = str(error.strerror)


@dataclass(frozen=True)
class ClassFolders:
    """The images of a folder, class after class, those of a class in the order of their paths; labels as (N,) ints."""

    files: Files
    labels: tuple[int, ...]
    classes: tuple[str, ...]


def class_folders(folder: Path, left: Left) -> ClassFolders:
    """Find the images under each folder in `folder`, however deep; `left` is told what is left out."""
    classes: list[str] = []
    paths: list[Path] = []
    labels: list[int] = []
    for path in sorted(folder.iterdir()):
        if _is_hidden(path):
            left.leave(HIDDEN, path)
        elif not path.is_dir():
            left.leave(BESIDE, path)
        else:
            images = _images(path, left)
            labels += [len(classes)] * len(images)
            paths += images
            classes.append(readable(path.name))
    return ClassFolders(
        Files(tuple(paths), tuple(named(path, left.data) for path in paths)), tuple(labels), tuple(classes)
    )


def _images(folder: Path, left: Left) -> list[Path]:
    """Files that are called as images are, in the order in which torchvision's ImageFolder has them."""
    images = []
    for path in _files(folder, left):
        if _is_hidden(path):
            left.leave(HIDDEN, path)
        elif path.suffix.lower() in SUFFIXES:
            images.append(path)
        else:
            left.leave(NO_IMAGE, path)
    return images


def _files(folder: Path, left: Left) -> Iterator[Path]:
    """Every file under the folder, also behind links, but through no folder twice: links may lead in circles."""
    met = {folder.resolve()}

    def enters(path: Path) -> bool:
        if _is_hidden(path):
            left.leave(HIDDEN, path)
            return False
        if path.resolve() in met:
            left.leave(MET, path)
            return False
        met.add(path.resolve())
        return True

    tree = []
    for root, folders, files in os.walk(folder, onerror=left.denied, followlinks=True):
        folders[:] = [name for name in sorted(folders) if enters(Path(root, name))]
        tree.append((root, sorted(files)))
    for root, files in sorted(tree):
        yield from (Path(root, name) for name in files)


def _is_hidden(path: Path) -> bool:
    return path.name.startswith(".") or path.name.lower() in OF_THE_SYSTEM


def named(path: Path, data: Path) -> str:
    """The path in the data folder, with "/"."""
    return readable(path.relative_to(data).as_posix())


def readable(name: str) -> str:
    """A file's name as text that can be encoded, also where its bytes are no UTF-8."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def in_a_line(name: str) -> str:
    """A name without line breaks and other marks that do not print."""
    return "".join(mark if mark.isprintable() else ascii(mark)[1:-1] for mark in name)
