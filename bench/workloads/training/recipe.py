"""What a profile's `[unlearning.training]` means: optimizer, objective, and what becomes of a batch."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer
from torchvision.transforms import v2

from bench.arms.arm import Batch
from bench.arms.optimizers import fused
from bench.profiles import Training
from zo_core import Objective, cross_entropy


def training_optimizer(model: nn.Module, training: Training) -> Optimizer:
    """SGD as the profile has it; weight decay holds all parameters, or those of two dimensions or more alone."""
    every = training.decay == "all"
    decaying = [parameter for parameter in model.parameters() if every or parameter.ndim > 1]
    free = [parameter for parameter in model.parameters() if not every and parameter.ndim <= 1]
    groups = [{"params": decaying, "weight_decay": training.weight_decay}, {"params": free, "weight_decay": 0.0}]
    given = [group for group in groups if group["params"]]
    return torch.optim.SGD(
        given,
        lr=training.lr,
        momentum=training.momentum,
        nesterov=training.nesterov,
        fused=fused(model.parameters()),
    )


def training_objective(training: Training) -> Objective:
    """Cross-entropy, of smoothed labels where the profile says so (Szegedy et al. 2016, section 7)."""
    if not training.label_smoothing:
        return cross_entropy

    def smoothed(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(model(inputs), targets, label_smoothing=training.label_smoothing)

    return smoothed


def augmentation(training: Training, size: int) -> Callable[[Tensor], Tensor]:
    """What mirrors and shifts each of (N, C, size, size) images by itself, drawing from torch's default generator (He
    et al. 2016, section 4.2, but with the edge mirrored instead of black).
    """
    crop = [v2.RandomCrop(size, padding=training.crop, padding_mode="reflect")] if training.crop else []
    flip = [v2.RandomHorizontalFlip()] if training.flip else []
    if not crop + flip:
        return lambda images: images
    changed = v2.Compose([*crop, *flip])
    return lambda images: torch.stack([changed(image) for image in images])


def laid_out(model: nn.Module, training: Training) -> nn.Module:
    """The model with its weights in memory as the profile says, to be trained."""
    return model.to(memory_format=torch.channels_last) if training.channels_last else model


def batch_laid_out(batch: Batch, training: Training) -> Batch:
    """The batch likewise."""
    images, targets = batch
    return (images.contiguous(memory_format=torch.channels_last) if training.channels_last else images), targets
