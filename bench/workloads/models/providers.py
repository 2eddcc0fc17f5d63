"""Networks of other libraries: torchvision's by their names, `timm:NAME`, and `hf:NAME` of Hugging Face's transformers.

Only the architecture is taken; the weights are drawn by the seed. Networks made for 224-pixel images get the CIFAR
stem of He et al. (2016, section 4.2; one 3x3 convolution, no pooling) where the images are at most 64 pixels wide and
the family is torchvision's ResNet; `torchvision:NAME` is the network exactly as torchvision has it.
"""

import copy
import importlib
from collections.abc import Iterable
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

import torchvision
from torch import nn

from bench.workloads.models.registry import Builder, ImageSpec, Provider, models, providers

SMALL_IMAGE = 64
CLOSEST = 5  # names that an unknown one may have been meant as
TORCHVISION = torchvision.models.list_models(module=torchvision.models)


def _torchvision_model(name: str, small_stem: bool) -> Builder:
    def build(spec: ImageSpec) -> nn.Module:
        model: nn.Module = torchvision.models.get_model(name, **_arguments(name, spec))
        if small_stem and isinstance(model, torchvision.models.ResNet) and spec.size <= SMALL_IMAGE:
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


def _as_torchvision_has_it(name: str) -> Builder:
    _check_known(f"torchvision:{name}", name in TORCHVISION, name, TORCHVISION)
    return _torchvision_model(name, small_stem=False)


def _timm_model(name: str) -> Builder:
    timm = _library("timm")
    _check_known(f"timm:{name}", timm.is_model(name), name, timm.list_models())

    def build(spec: ImageSpec) -> nn.Module:
        arguments = {"pretrained": False, "num_classes": spec.classes, "in_chans": spec.channels}
        try:
            model: nn.Module = timm.create_model(name, img_size=spec.size, **arguments)
        except TypeError:  # it takes images of any size
            model = timm.create_model(name, **arguments)
        return model

    return build


def _hugging_face_model(name: str) -> Builder:
    transformers = _library("hf")
    _configuration(name)

    def build(spec: ImageSpec) -> nn.Module:
        configuration = copy.deepcopy(_configuration(name))
        configuration.num_labels = spec.classes
        for key, value in (("image_size", spec.size), ("num_channels", spec.channels)):
            if hasattr(configuration, key):
                setattr(configuration, key, value)
        model: nn.Module = transformers.AutoModelForImageClassification.from_config(configuration)
        return model

    return build


@cache
def _configuration(name: str) -> Any:
    """A network's configuration: from a folder, else from Hugging Face's cache, else from its site."""
    transformers = _library("hf")
    here = Path(name).is_dir()
    try:
        return transformers.AutoConfig.from_pretrained(name, local_files_only=True)
    except (OSError, ValueError) as error:
        reason = error
    if not here:
        try:
            return transformers.AutoConfig.from_pretrained(name)
        except (OSError, ValueError) as error:
            reason = error
    where = "config.json in that folder" if here else "such folder here, and none at huggingface.co that can be reached"
    raise ValueError(f"model 'hf:{name}': no {where} ({str(reason).strip().splitlines()[0]})") from None


def _check_known(model: str, known: bool, name: str, names: Iterable[str]) -> None:
    if not known:
        close = ", ".join(get_close_matches(name, list(names), CLOSEST, cutoff=0.5))
        raise ValueError(f"unknown model {model!r}" + (f"; did you mean {close}?" if close else ""))


MODULES = {"torchvision": "torchvision", "timm": "timm", "hf": "transformers"}


def _library(kind: str) -> Any:
    try:
        return importlib.import_module(MODULES[kind])
    except ImportError:
        way = f"pip install 'zo-unlearning-bench[{kind}]'"
        raise ValueError(f"models {kind}:NAME need the package {MODULES[kind]}: {way}") from None


def _version(kind: str) -> str:
    return f"{MODULES[kind]} {_library(kind).__version__}"


providers.register("torchvision")(Provider(_as_torchvision_has_it, lambda name: _version("torchvision")))
providers.register("timm")(Provider(_timm_model, lambda name: _version("timm")))
providers.register("hf")(
    Provider(_hugging_face_model, lambda name: f"{_version('hf')}\n{_configuration(name).to_json_string()}")
)
for _name in TORCHVISION:
    models.register(_name)(_torchvision_model(_name, small_stem=True))
