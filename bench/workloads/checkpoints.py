"""Trained models, cached under a folder named by all they depend on."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from bench.base.atomic_write import replacing
from bench.profiles import Training
from bench.workloads.datasets import ImageData


@dataclass(frozen=True)
class CheckpointKey:
    """What a trained model depends on. The code behind a registered name is not part of it: after changing a model of
    your own, give it another name or empty the cache.

    Attributes:
        model, dataset: registered names.
        data: fingerprint of the data.
        samples: hash over the training indices.
    """

    model: str
    dataset: str
    data: str
    samples: str
    training: Training
    seed: int

    @classmethod
    def of(
        cls, model: str, dataset: str, data: ImageData, indices: Tensor, training: Training, seed: int
    ) -> "CheckpointKey":
        """The key of a training on the samples at `indices`."""
        samples = hashlib.sha256(indices.numpy().tobytes()).hexdigest()
        return cls(model, dataset, data.fingerprint, samples, training, seed)

    @property
    def folder(self) -> str:
        """A readable name with a hash over everything."""
        everything = [self.model, self.dataset, self.data, self.samples, self.training.model_dump(), self.seed]
        digest = hashlib.sha256(json.dumps(everything).encode()).hexdigest()[:16]
        kind = self.dataset.partition(":")[0]
        return f"{self.model}-{kind}-seed{self.seed}-{digest}"


def load_or_train(
    cache: Path, key: CheckpointKey, model: nn.Module, train: Callable[[], nn.Module], tell: Callable[[str], None]
) -> nn.Module:
    """Fill `model` with the cached weights of `key`, or train and cache them.

    Args:
        tell: is told, in one line, of a file that cannot be read; the model is then trained again.

    Returns:
        A trained model, on the device where `model` or `train` put it.
    """
    path = cache / key.folder / "model.pt"
    if path.exists():
        try:
            model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
            return model.eval()
        except Exception as error:  # whatever a damaged file makes of itself
            tell(f"checkpoint {key.folder} is damaged ({type(error).__name__}); training it again")
    trained = train()
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        torch.save(trained.state_dict(), file)
    return trained
