"""Packages of the suite's networks, each exported once a session, and the command line as a person runs it."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch import nn

from bench.workloads.models import ImageSpec, build_model
from zo_core.edge import Package, export
from zo_core.edge.device.images import read_image
from zo_core.edge.device.network import OnnxNetwork

CLASSES = tuple("abcdefghij")
SIZE = 32

Packages = Callable[[str], Package]
Forgettable = tuple[Package, Path, str]


def network(name: str) -> nn.Module:
    """A network of the suite's for ten classes, as it is exported."""
    return build_model(name, ImageSpec(3, SIZE, len(CLASSES)), 0).eval()


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Packages:
    """The package of a network that is given by name; nobody may change it."""
    folder = tmp_path_factory.mktemp("packages")

    @cache
    def package(name: str) -> Package:
        return export(network(name), folder / name, image_size=SIZE, classes=CLASSES)

    return package


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six pictures of class a and six of class b, in folders called so."""
    folder, draws = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for of_class in ("a", "b"):
        (folder / of_class).mkdir()
        for number in range(6):
            pixels = draws.integers(0, 256, (40, 36, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / of_class / f"{number}.png")
    return folder


@pytest.fixture(scope="session")
def forgettable(packages: Packages, pictures: Path) -> Forgettable:
    """A package, pictures, and the class that an untrained network gives all of them."""
    package, folder = packages("cnn"), pictures / "a"
    images = [read_image(path, package.layout.preprocessing) for path in sorted(folder.iterdir())]
    (answer,) = set(OnnxNetwork(package).run(np.stack(images)).logits.argmax(axis=1).tolist())
    return package, folder, CLASSES[answer]


def edge(*arguments: object, where: Path | None = None) -> subprocess.CompletedProcess[str]:
    """`python -m zo_core.edge` with these arguments, in a process of its own."""
    command = [sys.executable, "-W", "error", "-m", "zo_core.edge", *map(str, arguments)]
    return subprocess.run(command, cwd=where, env=environment(), capture_output=True, text=True, check=False)


def environment() -> dict[str, str]:
    """This process's, where Python finds the clone from any folder."""
    return os.environ | {"PYTHONPATH": str(Path(__file__).parents[3]), "OMP_NUM_THREADS": "1"}


def content(folder: Path) -> dict[str, str]:
    """What is below a folder: each file's hash by its path, and each folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
        for path in sorted(folder.rglob("*"))
    }
