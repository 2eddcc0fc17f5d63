"""Weights that the suite did not train: a user's own file, or torchvision's by name."""

from hashlib import sha256
from pathlib import Path

import safetensors
import torch
import torchvision
from torch import nn

from bench.base.atomic_write import replacing
from bench.record import ModelFile
from zo_core.edge.workstation.state import SAFETENSORS, StateDict, as_safetensors, fit, state_in

SUFFIXES = (SAFETENSORS, ".pt", ".pth", ".bin", ".ckpt")


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
    try:
        fit(model, state, given)
    except ValueError as error:
        as_published = f"torchvision:{name}"
        hint = f"; {as_published} is the network as torchvision has it" if hasattr(torchvision.models, name) else ""
        raise ValueError(f"{error}{hint}") from None
    return source


def save_weights(path: Path, model: nn.Module, metadata: dict[str, str]) -> None:
    """Write the model's state dict as safetensors, in the place of a former file; raises OSError."""
    with replacing(path) as file:
        file.write(as_safetensors(model.state_dict(), metadata))


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
    return source, state_in(content, path)


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
