"""The losses that unlearning ascends or descends. Ascent is the optimizer's `maximize=True`, not a minus sign here."""

from torch import Tensor, nn
from torch.nn import functional as F


def cross_entropy(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy of a batch.

    Args:
        inputs: (N, C, H, W), what the model takes.
        targets: (N,) class indices, int64.

    Returns:
        Scalar tensor, in nats.
    """
    return F.cross_entropy(model(inputs), targets)
