"""What a network gives, as a plain (N, classes) tensor of logits, whatever it comes in.

A forward hook does it: the network's state dict keeps its keys, and copies and pickles keep the hook.
"""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

MULTI_LABEL = "multi_label_classification"  # as transformers calls it


class ModelError(ValueError):
    """A network that cannot be used here; the message is one line."""


def give_logits(name: str, model: nn.Module, classes: int) -> None:
    """Have the model give (N, classes) float logits; calling it raises ModelError where that cannot be.

    Args:
        name: of the model, for the message.

    Raises:
        ModelError: it is made for several labels a sample.
    """
    if getattr(getattr(model, "config", None), "problem_type", None) == MULTI_LABEL:
        raise ModelError(f"model {name!r} is made for several labels a sample; the suite has one label a sample")
    model.register_forward_hook(partial(_replaced, name, classes))


def _replaced(name: str, classes: int, _: nn.Module, inputs: tuple[Any, ...], output: Any) -> Tensor:
    try:
        return logits_of(output, inputs[0].shape[0], classes)
    except ModelError as error:
        raise ModelError(f"model {name!r} {error}") from None


def logits_of(output: Any, samples: int, classes: int) -> Tensor:
    """(samples, classes) logits, in float32 if they were in half precision.

    One logit z is the second of two classes': the logits are then 0 and z, whose cross-entropy is the binary one.

    Raises:
        ModelError: it is not plain which they are, or they do not fit; the message goes on behind the model's name.
    """
    logits = _unwrapped(output)
    if not logits.is_floating_point():
        raise ModelError(f"gives {_kind(logits)}, not floating-point logits")
    if logits.dtype in (torch.bfloat16, torch.float16):
        logits = logits.float()
    shape = tuple(logits.shape)
    if shape == (samples, classes):
        return logits
    if classes == 2 and shape in ((samples,), (samples, 1)):
        z = logits.reshape(samples, 1)
        return torch.cat([torch.zeros_like(z), z], dim=1)
    if shape in ((samples,), (samples, 1)):
        raise ModelError(f"gives one logit, which is for two classes, not for {classes}: give spec.classes of them")
    if len(shape) == 2 and shape[0] == samples:
        raise ModelError(f"gives {shape[1]:,} logits for {classes:,} classes: give spec.classes of them")
    raise ModelError(f"gives {shape} for {samples} images, where logits are ({samples}, {classes})")


def _unwrapped(output: Any) -> Tensor:
    """The tensor itself, or an object's or a dict's `logits`, or the first of a tuple if no other is like it."""
    held = output.get("logits") if isinstance(output, dict) else getattr(output, "logits", None)
    if held is None and isinstance(output, tuple | list) and output:
        held, *others = output
        if isinstance(held, Tensor) and any(isinstance(one, Tensor) and one.shape == held.shape for one in others):
            raise ModelError(f"gives several tensors of shape {tuple(held.shape)}: give the logits alone")
    found = output if held is None else held
    if not isinstance(found, Tensor):
        raise ModelError(f"gives {_kind(output)}: give a tensor of logits, or a dict with them under 'logits'")
    return found


def _kind(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"a tensor of {str(value.dtype).removeprefix('torch.')}"
    if isinstance(value, dict):
        return f"a dict of {', '.join(map(repr, value)) or 'nothing'}"
    return f"a {type(value).__name__}" if value is not None else "nothing"
