"""Trained models, cached under a folder named by all they depend on."""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from bench.base.atomic_write import replacing
from bench.profiles import Training
from bench.record import Dtype
from bench.workloads.images.samples import ImageData
from bench.workloads.models import models


@dataclass(frozen=True)
class CheckpointKey:
    """What a trained model depends on.

    Attributes:
        model, dataset: registered names.
        data: fingerprint of the data.
        samples: hash over the training indices.
        source: hash over the code that the model is made by.
        dtype: what passes ran in.
    """

    model: str
    dataset: str
    data: str
    samples: str
    training: Training
    seed: int
    source: str
    dtype: Dtype = "float32"

    @classmethod
    def of(
        cls,
        model: str,
        dataset: str,
        data: ImageData,
        indices: Tensor,
        training: Training,
        seed: int,
        dtype: Dtype = "float32",
    ) -> "CheckpointKey":
        """The key of a training on the samples at `indices`."""
        samples = hashlib.sha256(indices.numpy().tobytes()).hexdigest()
        return cls(model, dataset, data.fingerprint, samples, training, seed, models.source(model), dtype)

    @property
    def folder(self) -> str:
        """A readable name with a hash over everything."""
        everything = {**vars(self), "training": self.training.model_dump()}
        digest = hashlib.sha256(json.dumps(everything).encode()).hexdigest()[:16]
        model, kind = re.sub(r"[^\w.]+", "-", self.model), self.dataset.partition(":")[0]
        return f"{model}-{kind}-seed{self.seed}-{digest}"


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
