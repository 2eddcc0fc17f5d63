"""Makes `data/`: `python -m tests.zo_core.edge.alone.make` in an environment with the extra `export`.

To be run again where the format of packages or receipts has another version, and then only.
"""

import shutil
from pathlib import Path

import numpy as np
import torch
from torch import nn

from zo_core.edge import EdgeZO, Package, export

DATA = Path(__file__).parent / "data"
SIZE, CLASSES = 8, ("cat", "dog", "fox")


def network() -> nn.Module:
    """Two layers and a norm between them."""
    torch.manual_seed(0)
    first = nn.Conv2d(3, 8, 3, padding=1)
    return nn.Sequential(first, nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * SIZE**2, len(CLASSES)))


def package(folder: Path) -> Package:
    """The network as a package, from a folder that is not there."""
    return export(network(), folder, image_size=SIZE, classes=CLASSES, resize=10, mean=[0.5] * 3, std=[0.25] * 3)


def erase(folder: Path, out: Path) -> None:
    """Some steps on random images."""
    draws = np.random.default_rng(0)
    images = draws.standard_normal((4, 3, SIZE, SIZE)).astype(np.float32)
    optimizer = EdgeZO(folder, lr=0.01, seed=2**40, maximize=True, queries=2, normalize=True, blocks=3)
    for _ in range(20):
        optimizer.step(images, [0, 1, 2, 0])
    optimizer.save(out)


if __name__ == "__main__":
    shutil.rmtree(DATA, ignore_errors=True)
    package(DATA / "package")
    erase(DATA / "package", DATA / "erased")
