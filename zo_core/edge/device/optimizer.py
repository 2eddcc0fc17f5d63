"""`EdgeZO`: zeroth-order steps of a packaged network on a device."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import ArrayLike

import zo_core
from zo_core.edge.device.network import Network, OnnxNetwork, cross_entropy
from zo_core.edge.package import POOL, WEIGHTS, Package, PackageError
from zo_core.engine.flat import FlatZO, Numbers
from zo_core.receipt import STEP_SETTINGS, Hashes, Receipt, numbers_hash


class EdgeZO:
    """Zeroth-order ascent or descent of a package's weights: `ZOSGD(noise="portable")` without torch.

    Args:
        package: a folder that `zo_core.edge.export` made, or what is read from it.
        tail: how much of the network moves: all, stage, block or layer.
        threads: of the inference engine.
        method: what the receipt calls the steps.
        network: what is stepped on; the package's on ONNX Runtime, with so many threads, if not given.
        settings: lr, eps, clip, maximize, queries, two_sided, blocks, steps_per_batch, normalize, seed; see `ZOSGD`.

    Attributes:
        network: `network.weights` are its numbers as they now are.
        optimizer: what takes the steps.

    Raises:
        PackageError: the package cannot be used.
        ValueError: a setting is out of its bounds.
    """

    def __init__(
        self,
        package: Package | Path | str,
        *,
        tail: str = "all",
        threads: int = 1,
        method: str = "zo-ga",
        network: Network | None = None,
        **settings: Any,
    ) -> None:
        self.package = package if isinstance(package, Package) else Package(package)
        self.method = method
        pool = self.package.pool()  # before the weights: its memory is then free again
        self.network = OnnxNetwork(self.package, threads) if network is None else network
        self._moved = self.package.layout.moved(tail)
        self.optimizer = FlatZO([self.network.parameters[name] for name in self._moved], pool, **settings)
        self._rises: list[float] = []
        self._settings = self._settings_now()
        self._untold = None if network is None else begun_elsewhere(self.package, network)

    def step(self, images: Numbers, labels: ArrayLike | Sequence[int]) -> float:
        """Take one step.

        Args:
            images: (N, C, H, W) float32, as the network takes them.
            labels: (N,) class indices.

        Returns:
            The mean of the losses seen, in nats.

        Raises:
            PackageError: images or labels are of another shape, or a label is of no class.
            FloatingPointError: a loss was not finite, or the step is beyond what float32 can hold.
            After it, and after any other exception, the weights are as they were before the step, to rounding.
        """
        images, answers = check_batch(self.package, images, labels)
        if self._settings_now() != self._settings:
            self._untold = "settings were changed between steps"
        try:
            loss = self.optimizer.step(lambda: cross_entropy(self.network.run(images).logits, answers))
        except BaseException:
            self._untold = "a step was broken off, and the weights came back to rounding alone"
            raise
        self._rises += self.optimizer.rises
        return loss

    def receipt(self) -> Receipt:
        """What has been done so far; raises PackageError where a replay would not lead to the same weights."""
        if self._untold is not None:
            raise PackageError(f"there is no receipt of these steps: {self._untold}")
        return receipt_of(
            self.package,
            self.network.weights,
            method=self.method,
            moved=self._moved,
            settings=self._settings,
            steps=self.optimizer.steps_taken,
            rises=tuple(self._rises),
        )

    def save(self, folder: Path | str) -> None:
        """Write weights and receipt into a new folder, or nothing; raises PackageError."""
        from zo_core.edge.files import save  # of no use while steps are taken, when memory counts

        save(Path(folder), self.network.weights, self.receipt())

    def _settings_now(self) -> dict[str, Any]:
        known = vars(self.optimizer.group) | self.optimizer.saved()
        return {name: known[name] for name in STEP_SETTINGS}


def begun_elsewhere(package: Package, network: Network) -> str | None:
    """Why there can be no receipt of what is done to a network's weights; None if they are the package's."""
    own = numbers_hash(network.weights) == package.layout.sha256[WEIGHTS]
    return None if own else "the weights that they began with were not the package's"


def check_batch(package: Package, images: Numbers, labels: ArrayLike) -> tuple[Numbers, np.ndarray[Any, Any]]:
    """The batch as the engine takes it; raises PackageError for shapes or labels that do not fit."""
    how, answers = package.layout.preprocessing, np.asarray(labels)
    wanted = (how.channels, how.size, how.size)
    if np.ndim(images) != 4 or images.shape[1:] != wanted or not len(images):
        raise PackageError(f"images must be (N, {', '.join(map(str, wanted))}), not {np.shape(images)}")
    if answers.shape != (len(images),) or answers.dtype.kind not in "iu":
        raise PackageError(f"labels must be ({len(images)},) class indices, not {answers.shape} of {answers.dtype}")
    classes = len(package.layout.classes)
    if not ((answers >= 0) & (answers < classes)).all():
        raise PackageError(f"labels must be from 0 to {classes - 1}, not {sorted(set(answers.tolist()))}")
    return np.ascontiguousarray(images, dtype=np.float32), answers


def receipt_of(package: Package, weights: Numbers, **done: Any) -> Receipt:
    """A receipt for what led from the package's weights to these."""
    layout = package.layout
    hashes = Hashes(layout.hash, layout.sha256[POOL], layout.sha256[WEIGHTS], numbers_hash(weights))
    return Receipt(hashes=hashes, versions=_versions(), **done)


def _versions() -> dict[str, str]:
    return {"zo_core": zo_core.__version__, "numpy": np.__version__, "onnxruntime": onnxruntime.__version__}
