"""A network from its name, and what is held against it before anything runs."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn

from bench.base.errors import in_a_line, is_out_of_memory
from bench.record import Dtype
from bench.workloads.models.outputs import ModelError, give_logits
from bench.workloads.models.precision import run_in
from bench.workloads.models.registry import Builder, ImageSpec, models

SHAPES = (RuntimeError, ValueError, AssertionError)  # what networks say to images that they cannot take
NAMED = 3  # parameters in a message
FEW, ENOUGH = 16, 2**16  # distinct values that may be a rule's; numbers of a parameter that are looked at


def build_model(name: str, spec: ImageSpec, seed: int, dtype: Dtype = "float32") -> nn.Module:
    """A freshly initialized model on the CPU; the same seed gives the same weights.

    It gives (N, classes) logits, and has its parameters in float32 and its passes in `dtype`.

    Raises:
        ValueError: there is no model of that name, or it cannot be one that does so.
    """
    return _finished(name, spec, dtype, _seeded(models.get(name), spec, seed))


def check_model(name: str, spec: ImageSpec, dtype: Dtype = "float32", device: Literal["cpu", "meta"] = "cpu") -> None:
    """Build the model and send two images through it, in eval and in train mode.

    Args:
        device: "meta" for the shapes alone, without memory; so it is, too, where the memory does not suffice.

    Raises:
        ValueError: there is no model of that name, it does not take such images, or it gives no logits for them.
    """
    try:
        _check_passes(name, spec, dtype, device)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        _check_passes(name, spec, dtype, "meta")


def check_seeded(name: str, spec: ImageSpec) -> None:
    """Raise ValueError unless the seed, and nothing else, decides the model's weights.

    Weights that are the same for two seeds were loaded, or drawn by a generator of their own; those that are not the
    same for one seed were drawn by another library. A parameter of few values, as norms, biases and identities begin
    with, tells nothing.
    """
    builder = models.get(name)
    first = dict(_seeded(builder, spec, 0).named_parameters())
    drawn = {key: weight for key, weight in first.items() if weight.requires_grad and not _of_few_values(weight)}
    if fixed := _same(drawn, _seeded(builder, spec, 1)):
        raise ModelError(
            f"model {name!r}: its weights ({_listed(fixed)}) do not depend on the seed, so Retrain would not start "
            "from nothing: give weights = FILE for the original and retrained = FILE for Retrain, or retrain = false"
        )
    again = _same(drawn, _seeded(builder, spec, 0))
    if loose := [key for key in drawn if key not in again]:
        raise ModelError(
            f"model {name!r}: its weights ({_listed(loose)}) differ from one time to the next with the same seed: draw "
            "them with torch's own generator"
        )


def model_bytes(name: str, spec: ImageSpec, dtype: Dtype = "float32") -> int:
    """Bytes of the model's parameters and buffers, without allocating them."""
    model = _made(name, models.get(name), spec, dtype, "meta")
    return sum(tensor.nbytes for tensor in (*model.parameters(), *model.buffers()))


def _seeded(builder: Builder, spec: ImageSpec, seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return builder(spec)


def _finished(name: str, spec: ImageSpec, dtype: Dtype, model: nn.Module) -> nn.Module:
    if not isinstance(model, nn.Module):
        raise ModelError(f"model {name!r}: its builder gives a {type(model).__name__}, not a torch.nn.Module")
    run_in(name, model, dtype)
    give_logits(name, model, spec.classes)
    return model


def _check_passes(name: str, spec: ImageSpec, dtype: Dtype, device: str) -> None:
    """Send two images through the model, in eval and in train mode."""
    builder = models.get(name)
    with _in_a_line(name, spec):
        model = _made(name, builder, spec, dtype, device)
        _check_parameters(name, model)
        given = [_forward(model.train(training), spec, device) for training in (False, True)]
        if not all(logits.is_meta or logits.isfinite().all() for logits in given):
            raise ModelError(f"model {name!r} gives logits that are not finite, before it has learned anything")


def _check_parameters(name: str, model: nn.Module) -> None:
    if any(map(nn.parameter.is_lazy, model.parameters())):
        raise ModelError(f"model {name!r} has lazy layers: have its builder send a batch through it")
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ModelError(
            f"model {name!r} has no parameters that could change: all of them are frozen, or there are none"
        )


def _made(name: str, builder: Builder, spec: ImageSpec, dtype: Dtype, device: str) -> nn.Module:
    made = _without_memory(builder, spec) if device == "meta" else _seeded(builder, spec, seed=0)
    return _finished(name, spec, dtype, made)


def _without_memory(builder: Builder, spec: ImageSpec) -> nn.Module:
    try:
        with torch.device("meta"):
            return builder(spec)
    except Exception:  # its constructor computes with tensors, as RegNet's does: build it for real
        return builder(spec).to("meta")


@contextmanager
def _in_a_line(name: str, spec: ImageSpec) -> Iterator[None]:
    """Whatever goes wrong with a network is told in one line, but for a lack of memory."""
    try:
        yield
    except ModelError:
        raise
    except Exception as error:  # a user's network may do anything
        if is_out_of_memory(error):
            raise
        if not isinstance(error, SHAPES) or isinstance(error, NotImplementedError):
            raise ModelError(f"model {name!r}: {in_a_line(error)}") from None
        size, reason = spec.size, str(error).strip().split("\n")[0]
        raise ModelError(
            f"model {name!r} does not take {size}x{size} images ({reason}); take another image size"
        ) from None


def _forward(model: nn.Module, spec: ImageSpec, device: str) -> Tensor:
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        logits: Tensor = model(torch.randn(2, spec.channels, spec.size, spec.size, device=device))
    return logits


def _same(weights: Mapping[str, Tensor], model: nn.Module) -> list[str]:
    """Names of the weights that the model has, too, to the bit."""
    others = dict(model.named_parameters())
    return [key for key, weight in weights.items() if key in others and torch.equal(weight, others[key])]


def _of_few_values(weight: Tensor) -> bool:
    return len(weight.detach().flatten()[:ENOUGH].unique()) <= FEW


def _listed(names: list[str]) -> str:
    return ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")
