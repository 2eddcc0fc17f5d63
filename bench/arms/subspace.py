"""A class forgotten by forward passes alone: what only its activations use is taken out of the weights.

Kodge, Saha and Roy, "Deep Unlearning: Fast and Efficient Gradient-free Class Forgetting" (TMLR 2024), written here from
the paper. U_f and U_r are the left singular vectors of what comes into a layer from samples to be forgotten and to be
kept. A direction with the share s of the squared singular values has the importance alpha s / ((alpha - 1) s + 1), and
P = U diag(importance) U^T. What is in P_f and not in P_r goes: W <- W (I - P_f (I - P_r))^T, in every layer.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from bench.arms.activations import Spectrum

SAMPLES = 900  # of either kind: the authors' number for CIFAR-10 (their scripts/our_cifar10.sh)
WEAKEST = 0.25  # alpha_f of the first step: the least that the authors try (their demo.py)
GROWTH = 2.0  # of alpha_f from step to step; the authors' grid grows about threefold


class SubspaceProjection(Optimizer):
    """Steps over strengths alpha_f = 1/4, 1/2, 1, ..., each applied to the weights as they were in the beginning.

    Args:
        forget, retain: spectra of what comes into the layers, by the layers' weights, which are what is stepped.
        sharing: 1 / alpha_r, at least 0; the smaller, the more counts as used by what is to be kept.
    """

    def __init__(self, forget: dict[Tensor, Spectrum], retain: dict[Tensor, Spectrum], sharing: float) -> None:
        super().__init__(list(forget), {})
        self._steps = 0
        for weight, found in forget.items():
            kept, original = retain[weight], _by_group(weight.detach().clone(), found)
            needed = original @ kept.basis * importances(kept.shares, sharing).unsqueeze(1)
            # W (I - P_r) U_f: what goes is this times the importances of U_f times U_f^T
            apart = (original - needed @ kept.basis.mT) @ found.basis
            self.state[weight] = {"original": original, "apart": apart, "basis": found.basis, "shares": found.shares}

    @torch.no_grad()
    def step(self, closure: Callable[[], Any]) -> float:  # type: ignore[override]
        """Put the next strength in the place of the last; returns the loss before."""
        loss = float(closure())
        weakness = GROWTH**-self._steps / WEAKEST  # 1 / alpha_f, which goes to 0 where alpha_f would overflow
        self._steps += 1
        for weight, state in self.state.items():
            gone = state["apart"] * importances(state["shares"], weakness).unsqueeze(1) @ state["basis"].mT
            weight.copy_((state["original"] - gone).view_as(weight))
        return loss


def importances(shares: Tensor, weakness: float) -> Tensor:
    """alpha s / ((alpha - 1) s + 1), by `weakness` = 1 / alpha: s / (s + (1 - s) / alpha). 0 for a share of 0."""
    return (shares / (shares + (1 - shares) * weakness)).nan_to_num(0.0)


def _by_group(weight: Tensor, spectrum: Spectrum) -> Tensor:
    """(groups, outputs, d): a view of the weight as it multiplies patches."""
    groups, length, _ = spectrum.basis.shape
    return weight.view(groups, -1, length)
