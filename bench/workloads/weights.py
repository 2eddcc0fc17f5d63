"""Weights that the suite did not train: a user's own file, or torchvision's by name.

A file is read as tensors and nothing else: what would have to be executed to be read is refused.
"""

import pickle
import warnings
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
import torchvision
from torch import Tensor, nn

from bench.base.atomic_write import replacing
from bench.base.errors import some_of
from bench.record import ModelFile

SAFETENSORS = ".safetensors"
SUFFIXES = (SAFETENSORS, ".pt", ".pth", ".bin", ".ckpt")
NESTS = ("state_dict", "model_state_dict", "model", "module")  # where training scripts put a state dict
PREFIXES = ("module.", "_orig_mod.")  # what DataParallel and torch.compile put before every name

StateDict = dict[str, Tensor]


def is_file(given: str) -> bool:
    """Whether weights are given as a file, and not by torchvision's name."""
    return Path(given).suffix in SUFFIXES or Path(given).exists()


def load_weights(model: nn.Module, given: str, name: str, download: bool = False) -> ModelFile:
    """Fill `model`, which is called `name`, with the weights that are given as a file, or by torchvision's name.

    Half-precision weights become float32. A relative path counts from where the command is run.

    Returns:
        Where they come from.

    Raises:
        ValueError: they cannot be read, or do not fit the model.
    """
    source, state = _from_file(Path(given)) if is_file(given) else _of_torchvision(given, name, download)
    state = {key: tensor.float() if tensor.is_floating_point() else tensor for key, tensor in state.items()}
    try:
        _fit(model, state, given)
    except ValueError as error:
        as_published = f"torchvision:{name}"
        hint = f"; {as_published} is the network as torchvision has it" if hasattr(torchvision.models, name) else ""
        raise ValueError(f"{error}{hint}") from None
    return source


def save_weights(path: Path, model: nn.Module, metadata: dict[str, str]) -> None:
    """Write the model's state dict as safetensors, in the place of a former file; raises OSError."""
    state = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in model.state_dict().items()}
    content = safetensors.torch.save(state, {"format": "pt"} | metadata)
    with replacing(path) as file:
        file.write(content)


def read_metadata(path: Path) -> dict[str, str]:
    """What `save_weights` wrote beside the weights."""
    with safetensors.safe_open(path, framework="pt") as file:
        return dict(file.metadata())


def _from_file(path: Path) -> tuple[ModelFile, StateDict]:
    try:
        content = path.read_bytes()  # once: what is hashed is what is loaded
        source = ModelFile(name=path.name, sha256=sha256(content).hexdigest())
    except FileNotFoundError:
        raise ValueError(f"weights {path}: no such file; a path counts from where the command is run") from None
    except OSError as error:
        raise ValueError(f"weights {path}: {error.strerror or error}") from None
    try:
        found = safetensors.torch.load(content) if path.suffix == SAFETENSORS else _loaded(content)
    except pickle.UnpicklingError:
        raise ValueError(
            f"weights {path}: it holds more than tensors, and is not unpickled, since that could run any code; save "
            "model.state_dict() alone, best as safetensors"
        ) from None
    except (safetensors.SafetensorError, RuntimeError, ValueError, EOFError, LookupError, OSError):
        raise ValueError(f"weights {path}: truncated, or no file of weights") from None
    return source, found if path.suffix == SAFETENSORS else _state_dict(path, found)


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


def _of_torchvision(given: str, name: str, download: bool) -> tuple[ModelFile, StateDict]:
    network = name.removeprefix("torchvision:")
    try:
        known = torchvision.models.get_model_weights(network)
    except ValueError:
        raise ValueError(f"weights {given!r}: no such file, and {name!r} is none of torchvision's networks") from None
    entry_name = given.rpartition(".")[2]  # ResNet18_Weights.IMAGENET1K_V1 as well
    if entry_name not in known.__members__:
        choices = ", ".join(known.__members__)
        raise ValueError(f"weights {given!r}: no such file, nor torchvision's of {network}; choose from: {choices}")
    entry = known[entry_name]
    cached = Path(torch.hub.get_dir()) / "checkpoints" / Path(entry.url).name
    if not cached.exists() and not download:
        raise ValueError(f"weights {given!r} of {network} are not here: add --download to fetch them")
    try:
        state = entry.get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError) as error:
        raise ValueError(f"weights {given!r} of {network} could not be fetched: {error}") from None
    digest = sha256(cached.read_bytes()).hexdigest()
    return ModelFile(name=f"torchvision {network} {given}", sha256=digest), state


def _fit(model: nn.Module, state: StateDict, given: str) -> None:
    """Load the state; raise ValueError, in one line, for names or shapes that differ, or numbers that are none."""
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


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "one number"
