"""Networks, data and settings as people call them; their technical names stand beside these in the tables."""

import re
from pathlib import PurePath

import pandas as pd

NETWORKS = {
    "cnn": "small CNN",
    "resnet": "ResNet-",
    "vgg": "VGG-",
    "vit_b_": "ViT-B/",
    "vit_l_": "ViT-L/",
    "mobilenet_v3_": "MobileNetV3 ",
    "efficientnet_": "EfficientNet-",
}
DATA = {
    "digits": "handwritten digits",
    "mnist": "MNIST",
    "fashion-mnist": "Fashion-MNIST",
    "cifar10": "CIFAR-10",
    "cifar100": "CIFAR-100",
    "svhn": "SVHN",
    "fake": "made-up images",
}
ENGINES = {"torch": "torch", "onnxruntime": "ONNX Runtime"}
SHARES = {0.5: "a random half", 0.1: "a random tenth", 0.01: "a random hundredth"}


def network(name: str) -> str:
    """`resnet20` is ResNet-20, and what it runs in or on stands behind it; a name that is not known stays."""
    model, *rest = name.split(" ")
    for begin, spoken in NETWORKS.items():
        if re.fullmatch(rf"{begin}[\w.-]*", model) and (spoken[-1] in "-/ " or model == begin):
            model = spoken + model.removeprefix(begin).replace("_bn", "-BN").replace("_", " ")
            break
    return " ".join([model, *(f"on {ENGINES[word]}" if word in ENGINES else word for word in rest)])


def data(name: str) -> str:
    """A folder of images is called as it is; those of photographs that everybody knows by their name."""
    kind, _, place = name.partition(":")
    if kind != "imagefolder":
        return DATA.get(name, name)
    folder = PurePath(place).name or place
    return f"{DATA[folder]} photographs" if folder in DATA else f"images in {folder}"


def request(scenario: str, class_name: str | None) -> str:
    """What is to be forgotten: a class, a share, so many, or a list."""
    kind, _, value = scenario.partition(":")
    if kind == "class":
        return f"forget class {class_name or value}"
    if kind == "files":
        return f"forget the files of {PurePath(value).name}"
    if re.fullmatch(r"\d+", value):
        return f"forget {int(value):,} at random"
    return f"forget {SHARES.get(float(value), f'{float(value):.3g} of all, at random')}"


def setting(case: pd.Series, class_name: str | None) -> str:
    """An erasure's data, network and request, in words."""
    return f"{data(case['dataset'])}, {network(case['model'])}, {request(case['scenario'], class_name)}"


def batch(case: pd.Series) -> str:
    """Its batch size, in words."""
    return "each arm at its own batch" if case["batch_tuned"] else f"batch {case['batch_size']}"
