"""Small networks of our own."""

from torch import Tensor, nn
from torch.nn import functional as F

from bench.workloads.models.registry import ImageSpec, models


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


@models.register("vgg8")
def vgg8(spec: ImageSpec) -> nn.Module:
    """Six 3x3 convolutions with batch norm, in pairs before each halving, and a linear layer: VGG's plan (Simonyan and
    Zisserman 2015, section 2.1) for small images, without shortcuts: some 290,000 parameters.
    """
    layers: list[nn.Module] = []
    width = spec.channels
    for outputs in (32, 64, 128):
        for _ in range(2):
            layers += [nn.Conv2d(width, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
            width = outputs
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, spec.classes))
