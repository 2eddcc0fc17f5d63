"""The losses that unlearning ascends or descends. Ascent is the optimizer's `maximize=True`, not a minus sign here."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Objective = Callable[..., Tensor]  # of a model and the tensors of a batch


def cross_entropy(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy of a batch.

    Args:
        inputs: (N, C, H, W), what the model takes.
        targets: (N,) class indices, int64.

    Returns:
        Scalar tensor, in nats.
    """
    return F.cross_entropy(model(inputs), targets)


def neggrad_plus(retain_weight: float) -> Objective:
    """NegGrad+: more loss on the forget set, less on the retain set (Kurmanji et al. 2023, "Towards Unbounded Machine
    Unlearning", section 3). To be ascended: (1 - w) * L(forget) - w * L(retain), w being `retain_weight` in [0, 1].

    Returns:
        An objective of a model and four tensors: inputs and targets of a forget batch, inputs and targets of a retain
        batch. Its value is a scalar tensor, in nats.

    Raises:
        ValueError: `retain_weight` is outside [0, 1].
    """
    if not 0 <= retain_weight <= 1:
        raise ValueError(f"the retain weight must be in [0, 1], not {retain_weight}")

    def contrast(
        model: nn.Module, inputs: Tensor, targets: Tensor, retain_inputs: Tensor, retain_targets: Tensor
    ) -> Tensor:
        forget_loss = (1 - retain_weight) * cross_entropy(model, inputs, targets)
        return forget_loss - retain_weight * cross_entropy(model, retain_inputs, retain_targets)

    return contrast


def l1_sparse(strength: float) -> Objective:
    """Cross-entropy plus `strength` times the L1 norm of the parameters, to be descended on the retain set (Jia et al.
    2023, "Model Sparsity Can Simplify Machine Unlearning", section 4). Takes and returns what `cross_entropy` does.
    """

    def sparse(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        norm = sum(parameter.abs().sum() for parameter in model.parameters())
        return cross_entropy(model, inputs, targets) + strength * norm

    return sparse


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
