"""The losses that unlearning ascends or descends. Ascent is the optimizer's `maximize=True`, not a minus sign here."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Objective = Callable[[nn.Module, Tensor, Tensor], Tensor]


def cross_entropy(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy of a batch.

    Args:
        inputs: (N, C, H, W), what the model takes.
        targets: (N,) class indices, int64.

    Returns:
        Scalar tensor, in nats.
    """
    return F.cross_entropy(model(inputs), targets)


def microbatched(objective: Objective, size: int) -> Objective:
    """`objective` over slices of the batch, one after the other: the same loss in the memory of one slice.

    It serves zeroth- and first-order optimizers alike. Where gradients are enabled, each slice is backpropagated at
    once and its graph is freed (gradient accumulation), so the returned loss needs no `backward()`. The result is the
    whole batch's to rounding, if the model treats every sample by itself: batch norm must be in eval mode.

    Args:
        objective: a mean over the samples of a batch.
        size: samples a slice, at least 1; the last one may be smaller.

    Returns:
        An objective whose loss is a scalar tensor without a graph.

    Raises:
        ValueError: `size` is below 1.
    """
    if size < 1:
        raise ValueError(f"a slice must have at least 1 sample, not {size}")

    def sliced(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        total = torch.zeros((), device=inputs.device)
        for some_inputs, some_targets in zip(inputs.split(size), targets.split(size), strict=True):
            loss = objective(model, some_inputs, some_targets)
            share = loss * (len(some_inputs) / max(1, len(inputs)))
            if share.requires_grad:
                share.backward()
            elif loss.requires_grad:
                return loss  # with a graph where gradients are disabled: for `ZOSGD` to refuse
            total = total + share.detach()
        return total

    return sliced
