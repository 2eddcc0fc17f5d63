"""Trained models, cached under a folder named by all they depend on."""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from bench.base.atomic_write import replacing
from bench.profiles import Training
from bench.record import Dtype
from bench.workloads.models import models
from bench.workloads.training.lesson import Lesson, UnfinishedError


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
    def of(cls, lesson: Lesson, dataset: str) -> "CheckpointKey":
        """The key of a lesson on the data set of that name."""
        samples = hashlib.sha256(lesson.indices.numpy().tobytes()).hexdigest()
        source, data = models.source(lesson.model), lesson.data.fingerprint
        return cls(lesson.model, dataset, data, samples, lesson.training, lesson.seed, source, lesson.dtype)

    @property
    def folder(self) -> str:
        """A readable name with a hash over everything."""
        everything = {**vars(self), "training": self.training.model_dump()}
        digest = hashlib.sha256(json.dumps(everything).encode()).hexdigest()[:16]
        model, kind = re.sub(r"[^\w.]+", "-", self.model), self.dataset.partition(":")[0]
        return f"{model}-{kind}-seed{self.seed}-{digest}"


def load_or_train(
    cache: Path,
    key: CheckpointKey,
    model: nn.Module,
    train: Callable[[Path], nn.Module],
    tell: Callable[[str], None],
) -> nn.Module:
    """Fill `model` with the cached weights of `key`, or train and cache them.

    Args:
        train: given a file in which a training that is broken off is found again.
        tell: is told, in one line, of a file that cannot be read; the model is then trained again.

    Returns:
        `model`, in eval mode.
    """
    path, unfinished = cache / key.folder / "model.pt", cache / key.folder / "unfinished.pt"
    if path.exists():
        try:
            model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
            return model.eval()
        except Exception as error:  # whatever a damaged file makes of itself
            tell(f"checkpoint {key.folder} is damaged ({type(error).__name__}); training it again")
    trained = _trained(train, unfinished, key, tell)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        torch.save(trained.state_dict(), file)
    unfinished.unlink(missing_ok=True)
    model.load_state_dict(trained.state_dict())
    return model.eval()


def _trained(
    train: Callable[[Path], nn.Module], unfinished: Path, key: CheckpointKey, tell: Callable[[str], None]
) -> nn.Module:
    """From where it was broken off, or from the beginning where that cannot be read."""
    try:
        return train(unfinished)
    except UnfinishedError as error:
        tell(f"the unfinished training of {key.folder} cannot be gone on with ({error}); beginning it again")
        unfinished.unlink()
        return train(unfinished)
