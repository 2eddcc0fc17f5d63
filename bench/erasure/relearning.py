"""Relearn time: how fast a model that forgot learns the forgotten again. What is only hidden comes back at once."""

import torch
from torch import nn

from bench.base.seeds import generator
from bench.erasure.erasure import Erasure
from bench.erasure.quality import evaluation_batch, per_sample
from bench.workloads.splits import endless_batches
from zo_core import unlearn

MOST_STEPS = 100
NEAR = 5.0  # points under the original's accuracy on the forget set
RATE = 0.1  # share of the training's learning rate


def relearn_steps(erasure: Erasure, model: nn.Module) -> int | None:
    """Steps of plain SGD on the forget set until its accuracy is within `NEAR` points of the original's.

    The fewer, the less was forgotten; Retrain's number is the reference (Tarun et al. 2023, "Fast yet effective machine
    unlearning", section 5: relearn time). Beyond 20 steps it is known to 5 %.

    Args:
        model: is changed.

    Returns:
        None if `MOST_STEPS` did not suffice, or the profile says no learning rate of training.
    """
    case, forget, training = erasure.case, erasure.split.forget, erasure.plan.training
    if training is None:
        return None
    step = training.batch_size if case.batch_tuned else case.batch_size  # the same for all that are compared
    samples = erasure.data.train
    batch_size = evaluation_batch(step, samples.images.shape[1:])
    model.requires_grad_()
    target = erasure.started.forget_accuracy - NEAR

    @torch.no_grad()
    def accuracy() -> float:
        _, hits = per_sample(model, samples, forget, batch_size)
        return 100 * hits.mean().item()

    return unlearn(
        model,
        torch.optim.SGD(model.parameters(), lr=RATE * training.lr),
        endless_batches(
            samples.images,
            samples.labels,
            forget,
            step,
            generator(case.seed, "relearning"),
            case.device,
        ),
        evaluate=accuracy,
        completed=lambda seen: seen >= target,
        max_steps=MOST_STEPS,
    ).completed
