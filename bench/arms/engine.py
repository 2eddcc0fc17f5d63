"""Arms on an inference engine: a network as a package, steps taken there, and a model that shows what they did.

The parameters of the model lie in the engine's own buffer: whoever looks at the model sees the engine's weights. The
engine is imported when it is first used: no process of torch's is to hold it.
"""

import atexit
import shutil
import tempfile
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from bench.arms.arm import Batch, Hyperparameters, Request, Steps
from zo_core.ascent.plan import MOVABLE, RECIPES
from zo_core.edge.package import IMAGES, Package

if TYPE_CHECKING:
    from zo_core.edge.device.head import EdgeHead
    from zo_core.edge.device.network import OnnxNetwork
    from zo_core.edge.device.optimizer import EdgeZO

WHOLE = "the engine runs the whole of its graph"


@dataclass(frozen=True)
class Packaged:
    """A network on the engine.

    Attributes:
        package: it, with weights that may move.
        plain: an ONNX file with the weights in it, for inference.
        session: of the package's graph, started; `plain_session` of the other.
    """

    package: Package
    plain: Path
    session: Any
    plain_session: Any


@dataclass(frozen=True)
class Shape:
    """What a network takes and gives: images of `channels` x `size` x `size`, `classes` logits."""

    channels: int
    size: int
    classes: int


def packaged(model: nn.Module, shape: Shape, threads: int) -> Packaged:
    """The model on the engine; made once for each state of one, and gone with this process.

    Raises:
        PackageError: it cannot be exported, or computes something else there.
    """
    from zo_core.edge.workstation.export import export
    from zo_core.edge.workstation.inference import with_weights

    digest = _digest(model, shape)
    if digest not in _packages:
        folder, classes = _folder() / digest[:16], [str(place) for place in range(shape.classes)]
        package = export(model, folder, image_size=shape.size, classes=classes, channels=shape.channels)
        with_weights(package, folder.with_suffix(".onnx"))
        _packages[digest] = package
    package = _packages[digest]
    plain = package.folder.with_suffix(".onnx")
    return Packaged(package, plain, *_started(package.graph, plain, threads))


def begin_on_engine(name: str, request: Request, shape: Shape, threads: int) -> Steps:
    """Start the arm on the engine; see `bench.arms.arm.begin`. `request.model` shows what comes of it.

    Raises:
        PackageError: see `packaged`; or the arm cannot move this network.
    """
    on = packaged(request.model, shape, threads)
    optimizer = on_engine(name, on, request.hyperparameters, request.model)
    repeated = RECIPES.get(name, {}).get("steps_per_batch", 1)
    batches = (batch for batch in request.forget for _ in range(repeated))

    def step(_: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        return torch.tensor(optimizer.step(inputs.numpy(), targets.numpy()))

    if name not in RECIPES:  # its receipt cannot be replayed
        return Steps(_Taken(), batches, step)
    return Steps(_Taken(), batches, step, whole=lambda: WHOLE, receipt=optimizer.receipt)


def on_engine(name: str, on: Packaged, given: Hyperparameters, model: nn.Module | None = None) -> "EdgeZO | EdgeHead":
    """What takes the arm's steps; from the model's weights, which it then moves, or from the package's."""
    from zo_core.edge.device.methods import optimizer_for
    from zo_core.edge.device.network import OnnxNetwork

    weights = None if model is None else _flat(model)
    network = OnnxNetwork(on.package, weights=weights, session=on.session)
    if model is not None:
        _lend(network, model)
    tail = "all" if name not in RECIPES else given.tail
    return optimizer_for(on.package, name, lr=given.lr, eps=given.eps, tail=tail, seed=given.seed, network=network)


def forward_on_engine(name: str, on: Packaged, batch: Batch) -> Any:
    """A pass over a batch: plain inference, or one with weights that may move; a function that does it."""
    images = batch[0].numpy()
    if name == MOVABLE:
        from zo_core.edge.device.network import OnnxNetwork

        network = OnnxNetwork(on.package, session=on.session)
        return lambda: network.run(images)
    return lambda: on.plain_session.run(None, {IMAGES: images})


class _Taken(Optimizer):
    """Stands where an optimizer does: the step has been taken once the objective is computed."""

    def __init__(self) -> None:
        super().__init__([nn.Parameter(torch.zeros(1))], {})

    def step(self, closure: Any = None) -> Any:
        """Compute the objective."""
        return closure()


_packages: dict[str, Package] = {}  # by the digest of what was exported


def _digest(model: nn.Module, shape: Shape) -> str:
    digest = sha256(f"{type(model).__name__} {shape}".encode())
    for name, tensor in model.state_dict().items():
        digest.update(f"{name} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


@cache
def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="zo-bench-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@cache
def _started(graph: Path, plain: Path, threads: int) -> tuple[Any, Any]:
    from zo_core.edge.device.network import start, start_plain

    return start(graph, threads), start_plain(plain, threads)


def _flat(model: nn.Module) -> "np.ndarray[Any, np.dtype[np.float32]]":
    return np.concatenate([one.detach().numpy().reshape(-1) for one in model.parameters()])


def _lend(network: "OnnxNetwork", model: nn.Module) -> None:
    """Have the model's parameters lie where the engine's weights do."""
    for parameter, numbers in zip(model.parameters(), network.parameters.values(), strict=True):
        parameter.data = torch.from_numpy(numbers).view(parameter.shape)
