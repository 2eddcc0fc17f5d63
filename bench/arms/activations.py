"""What comes into the layers of a network: the directions of its activations there, and how much goes along each.

Memory is bounded: a layer keeps its rows while they are fewer than their length, and their second moments thereafter.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.arms.arm import Batch

POSITIONS = 64  # of an image or a sequence that a layer looks at, drawn at random: neighbours say the same
Layer = nn.Linear | nn.Conv2d


@dataclass(frozen=True)
class Spectrum:
    """The left singular vectors of a matrix of activations, for each group of a layer's inputs.

    Attributes:
        basis: (groups, d, r), orthonormal columns, or zero where the share is; d is the length of a row of the weight.
        shares: (groups, r), squared singular values divided by their sum; 0 where they are but rounding.
    """

    basis: Tensor
    shares: Tensor


def spectra(model: nn.Module, batches: Iterable[Batch], draws: torch.Generator) -> tuple[dict[Tensor, Spectrum], int]:
    """The spectrum of what comes into each linear and convolutional layer, patch by patch, from forward passes alone.

    Args:
        draws: says which positions are looked at.

    Returns:
        The spectra, by the layers' weights, and the number of forward passes. Layers whose weights are frozen, or which
        the model never calls (as attention in torch does not call its projections), are left out.
    """
    seen: dict[Tensor, _Rows] = {}

    def see(layer: Layer, arguments: tuple[Any, ...]) -> None:
        rows = _patches(layer, arguments[0].to(layer.weight.dtype), draws)
        with torch.autocast(rows.device.type, enabled=False):
            seen.setdefault(layer.weight, _Rows()).add(rows)

    layers = [module for module in model.modules() if isinstance(module, Layer) and module.weight.requires_grad]
    hooks = [layer.register_forward_pre_hook(see) for layer in layers]
    passes = 0
    try:
        with torch.no_grad():
            for inputs, _ in batches:
                model(inputs)
                passes += 1
            return {weight: rows.spectrum() for weight, rows in seen.items()}, passes
    finally:
        for hook in hooks:
            hook.remove()


class _Rows:
    """Rows of activations, (groups, n, d), or, where they would be more than d, the sum of their outer products."""

    def __init__(self) -> None:
        self._rows: list[Tensor] = []
        self._products: Tensor | None = None

    def add(self, rows: Tensor) -> None:
        self._rows.append(rows)
        if self._products is not None or sum(part.shape[1] for part in self._rows) > rows.shape[2]:
            rows = torch.cat(self._rows, dim=1)
            self._rows.clear()
            products = rows.mT @ rows
            self._products = products if self._products is None else self._products.add_(products)

    def spectrum(self) -> Spectrum:
        """From the eigenvectors of the d x d products, about 10 d^3 operations (a minute of one core for d = 4,608); of
        fewer than d rows from those of their n x n products.
        """
        if self._products is not None:
            energies, basis = torch.linalg.eigh(self._products)
            return Spectrum(basis, _shares(energies))
        rows = torch.cat(self._rows, dim=1)
        energies, left = torch.linalg.eigh(rows @ rows.mT)
        shares = _shares(energies)
        lengths = energies.sqrt().unsqueeze(1).where(shares.unsqueeze(1) > 0, torch.inf)  # rounding is no direction
        return Spectrum(rows.mT @ left / lengths, shares)


def _shares(energies: Tensor) -> Tensor:
    """Of each row's sum; 0 for those within what errors that add up at random make of the largest one."""
    numbers = torch.finfo(energies.dtype)
    rounding = energies.shape[1] ** 0.5 * numbers.eps * energies.amax(1, keepdim=True)
    real = energies.where(energies > rounding, 0.0)
    return real / real.sum(1, keepdim=True).clamp_min(numbers.tiny)


def _patches(layer: Layer, inputs: Tensor, draws: torch.Generator) -> Tensor:
    """(groups, n, d): what the layer multiplies its weight with, at some of its positions.

    Args:
        inputs: (N, ..., d) of a linear layer, (N, C, H, W) of a convolutional one.
    """
    if isinstance(layer, nn.Linear):
        rows = inputs.reshape(len(inputs), -1, layer.in_features)
        return rows[:, _some(rows.shape[1], draws, rows.device)].reshape(1, -1, layer.in_features)
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    windows = F.pad(inputs, layer._reversed_padding_repeated_twice, mode)
    for dim, (size, stride, dilation) in enumerate(zip(layer.kernel_size, layer.stride, layer.dilation, strict=True)):
        windows = windows.unfold(dim + 2, dilation * (size - 1) + 1, stride)[..., ::dilation]
    height, width = windows.shape[2:4]
    places = _some(height * width, draws, inputs.device)
    picked = windows[:, :, places // width, places % width].transpose(1, 2)  # (N, positions, C, rows, columns)
    return picked.reshape(len(inputs) * len(places), layer.groups, -1).transpose(0, 1)


def _some(positions: int, draws: torch.Generator, device: torch.device) -> Tensor:
    return torch.randperm(positions, generator=draws)[:POSITIONS].to(device)
