"""What originals and Retrain are trained with."""

import torch
from torch import nn
from torch.optim import Optimizer

from bench.profiles import Training


def training_optimizer(model: nn.Module, training: Training) -> Optimizer:
    """SGD with the momentum and weight decay of the profile."""
    return torch.optim.SGD(
        model.parameters(), lr=training.lr, momentum=training.momentum, weight_decay=training.weight_decay
    )
