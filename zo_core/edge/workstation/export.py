"""Making a package of a torch network: its graph with weights as inputs, checked against torch before it is kept."""

import copy
import io
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_args

import numpy as np
import onnx_ir
import onnxscript.optimizer
import torch
from onnx_ir.passes.common import ClearMetadataAndDocStringPass
from torch import Tensor, nn

import zo_core
from zo_core.ascent.tail import Tail, head, tail_of
from zo_core.edge.device.network import OnnxNetwork
from zo_core.edge.files import new_folder, write_numbers
from zo_core.edge.package import (
    FEATURES,
    GRAPH,
    IMAGES,
    LAYOUT,
    LOGITS,
    POOL,
    WEIGHTS,
    Head,
    Layout,
    Package,
    PackageError,
    Parameter,
    Preprocessing,
)
from zo_core.noise import PortableNoise
from zo_core.receipt import numbers_hash

TOLERANCE = 1e-4  # of the largest logit
NUDGE = 0.05  # of a parameter's root mean square, plus a little where that is zero
TRIED = 2  # images
BATCHES = (1, 2, 3)  # that a graph is held to: its batch may be of any size


def export(
    model: nn.Module,
    folder: Path | str,
    *,
    image_size: int,
    classes: Sequence[str],
    channels: int = 3,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    resize: int | tuple[int, int] | None = None,
    interpolation: str = "bilinear",
) -> Package:
    """Make a package of a network: of images, gives (N, classes) logits; exported in eval mode, on the CPU.

    Args:
        model: float32; unchanged.
        folder: to be made.
        image_size: width and height of the square images that it takes, in pixels.
        classes: their names, in the order of the logits.
        channels: of the images, 1 or 3.
        mean, std: of each channel, in [0, 1]; 0 and 1 if not given.
        resize: pixels of the shorter side, or height and width, before the square is cut out; or `image_size`.
        interpolation: nearest, bilinear or bicubic.

    Raises:
        PackageError: an argument is wrong, torch cannot export the network, ONNX Runtime cannot run it, or it computes
            something else there than in torch, before its weights are changed or after. There is no folder then.
    """
    how = _preprocessing(image_size, channels, mean, std, resize, interpolation)
    if len(classes) < 2 or len(set(classes)) < len(classes):
        raise PackageError(f"there must be two classes or more, each of a name of its own: not {list(classes)}")
    exported = _on_cpu(model)
    last = _head_layer(exported, how)
    parameters = dict(exported.named_parameters())
    weights = np.concatenate([one.detach().numpy().reshape(-1) for one in parameters.values()])
    graph = _graph(exported, last, how)
    pool = PortableNoise(0, len(weights)).pool().numpy()
    layout = Layout(
        parameters=tuple(Parameter(name, tuple(one.shape)) for name, one in parameters.items()),
        tails=_tails(exported),
        head=None if last is None else _named(exported, last),
        classes=tuple(classes),
        preprocessing=how,
        sha256={GRAPH: sha256(graph).hexdigest(), WEIGHTS: numbers_hash(weights), POOL: numbers_hash(pool)},
        versions={name: version(name) for name in ("torch", "onnxscript", "onnxruntime")}
        | {"zo_core": zo_core.__version__},
    )
    with new_folder(Path(folder)) as new:
        (new / GRAPH).write_bytes(graph)
        write_numbers(new / WEIGHTS, weights)
        write_numbers(new / POOL, pool)
        (new / LAYOUT).write_text(layout.to_json(), encoding="utf-8")
        check(exported, Package(new))
    return Package(folder)


def check(model: nn.Module, package: Package) -> None:
    """Hold the engine against torch on random images: with the weights as they are, and with all of them moved.

    Raises:
        PackageError: they differ by more than `TOLERANCE` of the largest logit, or a weight does not reach the engine.
    """
    layout, how = package.layout, package.layout.preprocessing
    draws = torch.Generator().manual_seed(0)
    network = OnnxNetwork(package)
    moved = copy.deepcopy(model)
    for samples in BATCHES:
        images = torch.randn(samples, how.channels, how.size, how.size, generator=draws)
        _compare(moved, network, images, len(layout.classes), "as it is")
    with torch.no_grad():
        for (name, parameter), numbers in zip(moved.named_parameters(), network.parameters.values(), strict=True):
            scale = NUDGE * float(parameter.square().mean().sqrt()) + NUDGE * TOLERANCE
            parameter.add_(torch.randn(parameter.shape, generator=draws), alpha=scale)
            numbers[:] = parameter.numpy().reshape(-1)
            if name not in network._held and _matters(moved, parameter, images):
                raise PackageError(f"the graph does not have {name} as an input: it was folded into something else")
    _compare(moved, network, images, len(layout.classes), "with its weights moved")


def _compare(model: nn.Module, network: OnnxNetwork, images: Tensor, classes: int, when: str) -> None:
    expected = _run(model, images)
    if not isinstance(expected, Tensor) or expected.shape != (len(images), classes):
        what = f"a tensor of {tuple(expected.shape)}" if isinstance(expected, Tensor) else type(expected).__name__
        raise PackageError(
            f"the network gives {what} for {len(images)} images, and not ({len(images)}, {classes}) logits"
        )
    if not expected.isfinite().all():
        raise PackageError(f"the network's logits are not finite {when}: it is not exported")
    found = network.run(images.numpy()).logits
    largest = float(expected.abs().max())
    difference = float(np.abs(found - expected.numpy()).max())
    if not difference <= TOLERANCE * max(largest, TOLERANCE):
        raise PackageError(
            f"the engine differs from torch by {difference:.2g} {when}, the largest logit being {largest:.2g}: it "
            "is not exported"
        )


def _run(model: nn.Module, images: Tensor) -> Any:
    """What the network gives; raises PackageError where it cannot take the images."""
    try:
        with torch.no_grad():
            return model(images)
    except Exception as error:  # a user's network may do anything
        raise PackageError(f"the network cannot take {tuple(images.shape)} images: {_cause(error)}") from None


def _matters(model: nn.Module, parameter: Tensor, images: Tensor) -> bool:
    """Whether the network computes something else without it."""
    before, kept = model(images), parameter.clone()
    parameter.add_(1.0)
    after = model(images)
    parameter.copy_(kept)
    return not torch.equal(before, after)


def _preprocessing(
    size: int,
    channels: int,
    mean: Sequence[float] | None,
    std: Sequence[float] | None,
    resize: int | tuple[int, int] | None,
    interpolation: str,
) -> Preprocessing:
    given: Any = size if resize is None else resize if isinstance(resize, int) else (*resize,)
    means = (0.0,) * channels if mean is None else tuple(map(float, mean))
    spreads = (1.0,) * channels if std is None else tuple(map(float, std))
    how = Preprocessing(channels, size, given, interpolation, means, spreads)
    how.check()
    return how


def _on_cpu(model: nn.Module) -> nn.Module:
    """A copy in eval mode, in C order: the numbers of a parameter lie as its shape says."""
    if any(map(nn.parameter.is_lazy, model.parameters())):
        raise PackageError("the network has lazy layers: send a batch through it first")
    copied = copy.deepcopy(model).cpu().eval()
    for name, parameter in copied.named_parameters():
        if parameter.dtype != torch.float32:
            raise PackageError(f"{name} is {parameter.dtype}; the edge has float32: call model.float()")
        parameter.data = parameter.data.contiguous()
    if not any(True for _ in copied.parameters()):
        raise PackageError("the network has no parameters")
    return copied


def _tails(model: nn.Module) -> dict[str, tuple[str, ...]]:
    names: dict[Tensor, str] = {parameter: name for name, parameter in model.named_parameters()}
    try:
        return {
            tail: tuple(names[parameter] for parameter in tail_of(model, tail))
            for tail in get_args(Tail)
            if tail != "all"
        }
    except ValueError:  # no linear or convolutional layer
        return {}


def _named(model: nn.Module, last: nn.Linear) -> Head:
    names: dict[Tensor, str] = {parameter: name for name, parameter in model.named_parameters()}
    return Head(names[last.weight], None if last.bias is None else names[last.bias])


def _head_layer(model: nn.Module, how: Preprocessing) -> nn.Linear | None:
    """The last layer, if it is linear, what it gives are the logits themselves, and its weight is no other layer's."""
    try:
        last = head(model)
    except ValueError:
        return None
    if not isinstance(last, nn.Linear):
        return None
    seen: list[tuple[Tensor, Tensor]] = []
    hook = last.register_forward_hook(lambda _, inputs, output: seen.append((inputs[0], output)))
    images = torch.randn(TRIED, how.channels, how.size, how.size, generator=torch.Generator().manual_seed(0))
    logits = _run(model, images)
    hook.remove()
    shared = sum(one is last.weight for _, one in model.named_parameters(remove_duplicate=False)) > 1
    if shared or len(seen) != 1 or not isinstance(logits, Tensor) or not torch.equal(seen[0][1], logits):
        return None
    return last if seen[0][0].dim() == 2 else None


class _WithFeatures(nn.Module):
    """The network, which gives beside its logits what its last layer saw."""

    def __init__(self, model: nn.Module, last: nn.Linear | None) -> None:
        super().__init__()
        self.model = model
        self._last = (last,)  # in a tuple, lest it be registered twice

    def forward(self, images: Tensor) -> Any:
        seen: list[Tensor] = []
        last = self._last[0]
        if last is None:
            return self.model(images)
        hook = last.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        logits = self.model(images)
        hook.remove()
        return logits, seen[-1]


def _graph(model: nn.Module, last: nn.Linear | None, how: Preprocessing) -> bytes:
    """The network as an ONNX file's content, without weights: each parameter is an input of its own name."""
    wrapper = _WithFeatures(model, last).eval()
    names = [LOGITS] if last is None else [LOGITS, FEATURES]
    images = torch.zeros(TRIED, how.channels, how.size, how.size)
    with _quietly():
        try:
            program = torch.onnx.export(
                wrapper,
                (images,),
                dynamo=True,
                optimize=False,
                verbose=False,
                input_names=[IMAGES],
                output_names=names,
                dynamic_shapes={"images": {0: torch.export.Dim("batch")}},
            )
        except Exception as error:
            raise PackageError(f"torch cannot export the network: {_cause(error)}") from None
        assert program is not None
        graph = program.model
        _weights_to_inputs(graph, _aliases(model))
        onnxscript.optimizer.optimize(graph)
        ClearMetadataAndDocStringPass()(graph)  # the workstation's paths among it, and three quarters of the bytes
    return bytes(onnx_ir.to_proto(graph).SerializeToString())


def _aliases(model: nn.Module) -> dict[str, list[str]]:
    """All names of each parameter, by its first: one that layers share has several."""
    first: dict[Tensor, str] = {parameter: name for name, parameter in model.named_parameters()}
    found: dict[str, list[str]] = {name: [] for name in first.values()}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        found[first[parameter]].append(name)
    return found


def _weights_to_inputs(model: onnx_ir.Model, names: Mapping[str, Sequence[str]]) -> None:
    """Have every parameter that the graph uses come from outside; before the optimizer, which would fold it."""
    for name, aliases in names.items():
        there = [model.graph.initializers.pop(f"model.{alias}", None) for alias in aliases]
        used = [value for value in there if value is not None and value.uses()]
        if not used:
            continue
        value, *others = used
        for other in others:
            other.replace_all_uses_with(value)
        value.const_value = None
        value.name = name
        model.graph.inputs.append(value)


@contextmanager
def _quietly() -> Iterator[None]:
    """Without the exporter's warnings of its own deprecations, its log, and the graphs that it prints when it fails."""
    level, unread = logging.root.manager.disable, io.StringIO()
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(action="ignore"), redirect_stdout(unread), redirect_stderr(unread):
            yield
    finally:
        logging.disable(level)


def _cause(error: BaseException) -> str:
    """The innermost reason, in a line."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
