"""`EdgeHead`: first-order ascent of the last layer alone, whose gradient needs no backpropagation.

Of a mean cross-entropy over N samples the gradient with respect to the logits is (p - y) / N, p being the probabilities
and y the labels' indicators; with respect to the weight it is that, transposed, times the (N, features) that the layer
sees, and with respect to the bias its sum over the samples.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from zo_core.ascent.plan import HEAD
from zo_core.edge.device.network import Network, OnnxNetwork, cross_entropy
from zo_core.edge.device.optimizer import begun_elsewhere, check_batch, receipt_of
from zo_core.edge.package import Package, PackageError
from zo_core.engine.flat import Numbers
from zo_core.receipt import Receipt
from zo_core.spsa import check_lengths


class EdgeHead:
    """Gradient ascent of a package's last layer: `fo-ga-head` without torch.

    Args:
        package: a folder that `zo_core.edge.export` made, or what is read from it.
        lr: learning rate.
        maximize: ascend instead of descend.
        threads: of the inference engine.
        network: what is stepped on; the package's on ONNX Runtime if not given.

    Raises:
        PackageError: the package cannot be used, or its last layer is not linear.
        ValueError: lr is out of its bounds.
    """

    method = HEAD

    def __init__(
        self,
        package: Package | Path | str,
        *,
        lr: float,
        maximize: bool = False,
        threads: int = 1,
        network: Network | None = None,
    ) -> None:
        self.package = package if isinstance(package, Package) else Package(package)
        if not 0 <= lr < np.inf:
            raise ValueError(f"lr must be at least 0 and finite, not {lr}")
        if self.package.layout.head is None:
            raise PackageError("the network's last layer is not linear: its gradient has no such closed form")
        self.lr, self.maximize, self.steps_taken = lr, maximize, 0
        self.head = self.package.layout.head
        self.network = OnnxNetwork(self.package, threads) if network is None else network
        self._untold = None if network is None else begun_elsewhere(self.package, network)

    def step(self, images: Numbers, labels: ArrayLike) -> float:
        """Take one step; see `EdgeZO.step`. One run of the network, and the last layer's gradient.

        Raises:
            FloatingPointError: the loss was not finite, or the step is beyond what float32 can hold; the weights are
                as they were.
        """
        images, answers = check_batch(self.package, images, labels)
        logits, features = self.network.run(images)
        loss = cross_entropy(logits, answers)
        if not np.isfinite(loss):
            raise FloatingPointError(f"the loss is {loss}; the parameters are as they were before this step")
        assert features is not None
        slope = _softmax(logits)
        slope[np.arange(len(answers)), answers] -= 1
        slope *= (self.lr if self.maximize else -self.lr) / len(answers)
        check_lengths(slope)
        weight = self.network.parameters[self.head.weight].reshape(logits.shape[1], -1)
        weight += slope.T.astype(np.float32) @ features
        if self.head.bias is not None:
            self.network.parameters[self.head.bias][:] += slope.sum(axis=0).astype(np.float32)
        self.steps_taken += 1
        return loss

    def receipt(self) -> Receipt:
        """What has been done so far; it has hashes and no steps to replay. Raises PackageError as `EdgeZO` does."""
        if self._untold is not None:
            raise PackageError(f"there is no receipt of these steps: {self._untold}")
        moved = (self.head.weight,) if self.head.bias is None else (self.head.weight, self.head.bias)
        done: dict[str, Any] = {"settings": {"lr": self.lr, "maximize": self.maximize}, "steps": self.steps_taken}
        return receipt_of(self.package, self.network.weights, method=self.method, moved=moved, rises=(), **done)

    def save(self, folder: Path | str) -> None:
        """Write weights and receipt into a new folder, or nothing; raises PackageError."""
        from zo_core.edge.files import save

        save(Path(folder), self.network.weights, self.receipt())


def _softmax(logits: Numbers) -> np.ndarray[Any, np.dtype[np.float64]]:
    z = logits.astype(np.float64)
    powers: np.ndarray[Any, np.dtype[np.float64]] = np.exp(z - z.max(axis=1, keepdims=True))
    powers /= powers.sum(axis=1, keepdims=True)
    return powers
