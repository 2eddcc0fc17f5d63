"""A file of weights: what it holds, whether that fits a network, and writing one.

A file is read as tensors and nothing else: what would have to be executed to be read is refused.
"""

import pickle
import warnings
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from zo_core.edge.words import some_of

SAFETENSORS = ".safetensors"
NESTS = ("state_dict", "model_state_dict", "model", "module")  # where training scripts put a state dict
PREFIXES = ("module.", "_orig_mod.")  # what DataParallel and torch.compile put before every name

StateDict = dict[str, Tensor]


def state_in(content: bytes, path: Path) -> StateDict:
    """The state dict in what a file of weights holds; raises ValueError, with the file's name."""
    try:
        found = safetensors.torch.load(content) if path.suffix == SAFETENSORS else _loaded(content)
    except pickle.UnpicklingError:
        raise ValueError(
            f"weights {path}: it holds more than tensors, and is not unpickled, since that could run any code; save "
            "model.state_dict() alone, best as safetensors"
        ) from None
    except (safetensors.SafetensorError, RuntimeError, ValueError, EOFError, LookupError, OSError):
        raise ValueError(f"weights {path}: truncated, or no file of weights") from None
    return found if path.suffix == SAFETENSORS else _state_dict(path, found)


def fit(model: nn.Module, state: StateDict, given: str) -> None:
    """Fill the model; half-precision weights become float32.

    Raises:
        ValueError: names or shapes differ, or numbers are none; in one line.
    """
    state = {key: tensor.float() if tensor.is_floating_point() else tensor for key, tensor in state.items()}
    for prefix in PREFIXES:
        if all(key.startswith(prefix) for key in state):
            state = {key.removeprefix(prefix): tensor for key, tensor in state.items()}
    wanted = model.state_dict()
    missing = [key for key in wanted if key not in state and not key.endswith("num_batches_tracked")]
    unexpected = [key for key in state if key not in wanted]
    shapes = [
        f"{key} is {_shape(state[key])}, the model's {_shape(tensor)}"
        for key, tensor in wanted.items()
        if key in state and state[key].shape != tensor.shape
    ]
    found = [
        f"{what}: {some_of(names)}"
        for what, names in (("missing", missing), ("unexpected", unexpected), ("other shapes", shapes))
        if names
    ]
    if found:
        raise ValueError(f"weights {given} do not fit the model: {'; '.join(found)}")
    broken = next((key for key, tensor in state.items() if not tensor.isfinite().all()), None)
    if broken is not None:
        raise ValueError(f"weights {given}: {broken} holds numbers that are not finite")
    model.load_state_dict(state, strict=False)


def as_safetensors(state: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bytes:
    """The content of a safetensors file with the state dict; of tied tensors each name has its own copy."""
    copied = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.items()}
    return safetensors.torch.save(copied, {"format": "pt"} | dict(metadata))


def _loaded(content: bytes) -> Any:
    """What torch saved, tensors and plain containers alone."""
    with warnings.catch_warnings(action="ignore"):  # about pickle's protocols
        return torch.load(BytesIO(content), map_location="cpu", weights_only=True)


def _state_dict(path: Path, found: Any) -> StateDict:
    """The state dict in what a file of torch's holds, which may lie in a dict of other things."""
    for nest in NESTS:
        if isinstance(found, dict) and isinstance(found.get(nest), dict):
            found = found[nest]
    if not isinstance(found, dict) or not found or not all(isinstance(one, Tensor) for one in found.values()):
        raise ValueError(f"weights {path}: it holds no state dict{_holding(found)}; save model.state_dict() alone")
    return found


def _holding(found: Any) -> str:
    """Where a state dict was looked for, and what is there instead: first what may be one, under another key."""
    if not isinstance(found, dict) or not found:
        return ""
    keys = [repr(key) for key in sorted(found, key=lambda key: not isinstance(found[key], dict))]
    return f", nor is there one under {', '.join(NESTS)}, but {some_of(keys)}"


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "one number"
