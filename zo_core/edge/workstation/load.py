"""Erased weights back in a torch state dict."""

from collections.abc import Mapping

import torch
from torch import Tensor

from zo_core.edge.package import Package, PackageError
from zo_core.engine.flat import Numbers


def load(state: Mapping[str, Tensor], package: Package, erased: Numbers) -> dict[str, Tensor]:
    """The state dict with the parameters that an erasure came to; buffers stay.

    Args:
        state: of the network that was exported, with the weights that it was exported with.
        erased: (numbers,) float32, as the erasure wrote them.

    Raises:
        PackageError: the state is of another network, or its parameters are not those that were exported.
    """
    layout = package.layout
    if len(erased) != layout.numbers:
        raise PackageError(f"the erased weights are {len(erased)} numbers, the package's {layout.numbers}")
    before, after = layout.views(package.weights()), layout.views(erased)
    found = dict(state)
    for parameter in layout.parameters:
        given = state.get(parameter.name)
        if given is None or tuple(given.shape) != parameter.shape:
            raise PackageError(f"the state dict lacks {parameter.name} of shape {parameter.shape}")
        if not torch.equal(given.detach().cpu().float().reshape(-1), torch.from_numpy(before[parameter.name])):
            raise PackageError(
                f"{parameter.name} is not what was exported: give the weights that the package is made of"
            )
        found[parameter.name] = torch.from_numpy(after[parameter.name].copy()).view(parameter.shape)
    return found
