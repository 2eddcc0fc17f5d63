"""Models by name: two small ones of our own, and every classification model that torchvision has.

Channels, classes and stem adapt to the data: networks made for 224-pixel images get the CIFAR stem of He et al. (2016,
section 4.2; one 3x3 convolution, no pooling) where the images are at most 64 pixels wide and the family is ResNet.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F

from bench.base.registry import Registry

SMALL_IMAGE = 64


@dataclass(frozen=True)
class ImageSpec:
    """What a model must take and give: images of `channels` x `size` x `size`, `classes` logits."""

    channels: int
    size: int
    classes: int


Builder = Callable[[ImageSpec], nn.Module]
models: Registry[Builder] = Registry("model")


def build_model(name: str, spec: ImageSpec, seed: int) -> nn.Module:
    """A freshly initialized model on the CPU; the same seed gives the same weights.

    Raises:
        ValueError: there is no model of that name.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return models.get(name)(spec)


def check_model(name: str, spec: ImageSpec) -> None:
    """Build the model without memory and send one image through it.

    Raises:
        ValueError: there is no model of that name, or it does not take such images.
    """
    builder = models.get(name)
    try:
        model = _without_memory(builder, spec).eval()
        with torch.no_grad():
            model(torch.empty(1, spec.channels, spec.size, spec.size, device="meta"))
    except (RuntimeError, ValueError, AssertionError) as error:
        reason = str(error).strip().split("\n")[0]
        raise ValueError(
            f"model {name!r} does not take {spec.size}x{spec.size} images ({reason}); take another image size"
        ) from None


def model_bytes(name: str, spec: ImageSpec) -> int:
    """Bytes of the model's parameters and buffers in float32, without allocating them."""
    model = _without_memory(models.get(name), spec)
    return sum(tensor.nbytes for tensor in (*model.parameters(), *model.buffers()))


def _without_memory(builder: Builder, spec: ImageSpec) -> nn.Module:
    try:
        with torch.device("meta"):
            return builder(spec)
    except NotImplementedError:  # its constructor computes with tensors, as RegNet's does: build it for real
        return builder(spec).to("meta")


@models.register("cnn")
def cnn(spec: ImageSpec) -> nn.Module:
    """Three convolutions and a linear layer, without batch norm: 25,866 parameters for the digits."""
    return nn.Sequential(
        nn.Conv2d(spec.channels, 16, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(64 * 4, spec.classes),
    )


class _BasicBlock(nn.Module):
    """Two 3x3 convolutions with batch norm and a parameter-free shortcut (He et al. 2016, option A)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.stride, self.padding = stride, outputs - inputs
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.padding))
        out = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(out)) + shortcut)


@models.register("resnet20")
def resnet20(spec: ImageSpec) -> nn.Module:
    """The CIFAR ResNet with n = 3 (He et al. 2016, section 4.2): some 270,000 parameters."""
    blocks: list[nn.Module] = []
    width = 16
    for outputs in (16, 32, 64):
        for index in range(3):
            blocks.append(_BasicBlock(width, outputs, stride=2 if index == 0 and outputs > 16 else 1))
            width = outputs
    stem = [nn.Conv2d(spec.channels, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, spec.classes))


def _torchvision_model(name: str) -> Builder:
    def build(spec: ImageSpec) -> nn.Module:
        model = torchvision.models.get_model(name, **_arguments(name, spec))
        if isinstance(model, torchvision.models.ResNet) and spec.size <= SMALL_IMAGE:
            model.conv1 = nn.Conv2d(3, model.conv1.out_channels, 3, padding=1, bias=False)
            model.maxpool = nn.Identity()
        return _with_channels(model, spec.channels)

    return build


def _arguments(name: str, spec: ImageSpec) -> dict[str, object]:
    arguments: dict[str, object] = {"weights": None, "num_classes": spec.classes}
    if name.startswith("vit_"):
        arguments["image_size"] = spec.size
    if name.startswith("maxvit"):
        arguments["input_size"] = (spec.size, spec.size)
    if name in ("googlenet", "inception_v3"):
        arguments.update(aux_logits=False, init_weights=True)
    return arguments


def _with_channels(model: nn.Module, channels: int) -> nn.Module:
    """Replace the first convolution by one for `channels` input channels, if it is not one already."""
    path, first = next((name, module) for name, module in model.named_modules() if isinstance(module, nn.Conv2d))
    if first.in_channels != channels:
        replacement = nn.Conv2d(
            channels,
            first.out_channels,
            first.kernel_size,  # type: ignore[arg-type]
            first.stride,  # type: ignore[arg-type]
            first.padding,  # type: ignore[arg-type]
            bias=first.bias is not None,
        )
        model.set_submodule(path, replacement)
    return model


for _name in torchvision.models.list_models(module=torchvision.models):
    models.register(_name)(_torchvision_model(_name))
