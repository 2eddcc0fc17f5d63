"""Training from scratch: the original model, and the model retrained without the forget set."""

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from bench.arms.arm import optimizer_step
from bench.arms.optimizers import training_optimizer
from bench.base.seeds import drawing_by, generator
from bench.profiles import Training
from bench.record import Dtype
from bench.workloads.images.samples import ImageData
from bench.workloads.models import build_model
from bench.workloads.splits import endless_batches

Track = Callable[[Iterable[int]], Iterable[int]]


def training_steps(training: Training, samples: int) -> int:
    """Optimizer steps that `training` takes over so many samples."""
    return training.epochs * math.ceil(samples / training.batch_size)


def train_from_scratch(
    model_name: str,
    data: ImageData,
    indices: Tensor,
    training: Training,
    seed: int,
    device: torch.device,
    dtype: Dtype = "float32",
    track: Track = lambda steps: steps,
) -> nn.Module:
    """Train a new model on the samples at `indices`; initialization, order and dropout come from `seed`.

    Args:
        dtype: what passes run in; gradients and momentum are float32, and no loss is scaled.
        track: wraps the step numbers, to show progress.

    Returns:
        The model on `device`, in eval mode.
    """
    model = build_model(model_name, data.spec, seed, dtype).to(device).train()
    optimizer = training_optimizer(model, training)
    order = generator(seed, "training")
    batches = endless_batches(data.train.images, data.train.labels, indices, training.batch_size, order, device)
    steps = training_steps(training, len(indices))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=training.lr, total_steps=steps)
    with drawing_by(seed, device):  # dropout
        for _, batch in zip(track(range(steps)), batches, strict=False):
            optimizer_step(model, batch, optimizer).run()
            schedule.step()
    return model.eval()
