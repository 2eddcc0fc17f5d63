"""The table of networks: entries of our own and of the user's, and, as LIBRARY:NAME, whatever a library has."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from bench.base.registry import Registry


@dataclass(frozen=True)
class ImageSpec:
    """What a model must take and give: images of `channels` x `size` x `size`, `classes` logits."""

    channels: int
    size: int
    classes: int


Builder = Callable[[ImageSpec], nn.Module]


@dataclass(frozen=True)
class Provider:
    """A library that has networks by name.

    Attributes:
        builder: of a network; raises ValueError if the library is not installed or has none of that name.
        source: what a network depends on besides our own code, such as the library's version.
    """

    builder: Callable[[str], Builder]
    source: Callable[[str], str]


providers: Registry[Provider] = Registry("library")


class Models(Registry[Builder]):
    """Networks by name; `timm:resnet18` is what the provider `timm` has under `resnet18`."""

    def get(self, name: str) -> Builder:
        """The builder; raises ValueError naming the valid choices."""
        provider, inner = self._provided(name)
        return super().get(name) if provider is None else provider.builder(inner)

    def module(self, name: str) -> str:
        """The module that registered the network, or its provider."""
        provider, _ = self._provided(name)
        return super().module(name) if provider is None else providers.module(name.partition(":")[0])

    def source(self, name: str) -> str:
        """A hash over the code that the network is made by, and over what its library says."""
        provider, inner = self._provided(name)
        code = super().source(name)
        return code if provider is None else hashlib.sha256(f"{code}\n{provider.source(inner)}".encode()).hexdigest()

    def choices(self) -> list[str]:
        """What a name may be, in words."""
        return [*super().choices(), *(f"{kind}:NAME" for kind in providers)]

    def _provided(self, name: str) -> tuple[Provider | None, str]:
        """The library that is asked for the network, and the name there; no library for an entry of the table."""
        kind, colon, inner = name.partition(":")
        asked = colon and name not in self._entries and kind in providers
        return (providers.get(kind), inner) if asked else (None, name)


models = Models("model")
