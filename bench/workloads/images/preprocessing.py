"""What becomes of an image between its file and the network: torchvision's own resizing and cropping."""

from typing import TypeVar, cast

import torchvision
from PIL import Image
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as TF

from bench.profiles import Preprocessing, Profile

Picture = TypeVar("Picture", Tensor, Image.Image)

BY_NAME = "one of torchvision's by name, such as IMAGENET1K_V1"


def square(image: Picture, size: int, how: Preprocessing) -> Picture:
    """Resize to `how.resize`, or the shorter side to `size`; then cut out the centre square of so many pixels.

    Args:
        image: a picture, or (..., H, W).
    """
    interpolation = InterpolationMode(how.interpolation)
    resized = TF.resize(image, how.resize or size, interpolation, antialias=True)
    return cast(Picture, TF.center_crop(resized, [size, size]))


def preprocessing_of(profile: Profile) -> Preprocessing:
    """The profile's `[data]`, with what the weights say put in; nothing is loaded.

    Raises:
        ValueError: no preset can be taken from the weights, or the square cannot be cut out of what is resized.
    """
    how = profile.data
    sizes = sorted({plan.image_size for plan in profile.step} | {plan.image_size for plan in profile.unlearning})
    if how.transforms is not None:
        preset = _preset(profile)
        wrong = next((size for size in sizes if [size] != preset.crop_size), None)
        if wrong is not None:
            raise ValueError(
                f"data.transforms: the weights take {preset.crop_size[0]} pixels: write image_size = "
                f"{preset.crop_size[0]}, not {wrong}"
            )
        resize = preset.resize_size
        known = {"resize": resize[0] if len(resize) == 1 else resize, "interpolation": preset.interpolation.value}
        how = how.model_copy(update=known | {"mean": preset.mean, "std": preset.std})
    least = min(how.resize) if isinstance(how.resize, list) else how.resize
    if least is not None and least < sizes[-1]:
        raise ValueError(f"data.resize: no square of image_size = {sizes[-1]} can be cut out of {least} pixels")
    return how


def _preset(profile: Profile) -> torchvision.transforms._presets.ImageClassification:
    """What the weights that `[unlearning]` names were trained with."""
    named = sorted({(plan.model, plan.weights) for plan in profile.unlearning if plan.weights is not None})
    if not named:
        raise ValueError(f"data.transforms: no weights in [unlearning]: name {BY_NAME}")
    found = {f"{model}, {weights}": _transforms(model, weights) for model, weights in named}
    first, *others = found
    for other in others:
        if vars(found[other]) != vars(found[first]):
            raise ValueError(
                f"data.transforms: {first} and {other} take different ones: write resize, mean and std, or two profiles"
            )
    return found[first]


def _transforms(model: str, weights: str) -> torchvision.transforms._presets.ImageClassification:
    _, _, name = weights.rpartition(".")  # ResNet18_Weights.IMAGENET1K_V1 as well
    try:
        return torchvision.models.get_model_weights(model.removeprefix("torchvision:"))[name].transforms()
    except (ValueError, KeyError):
        raise ValueError(
            f"data.transforms: {weights!r} are no weights of {model!r} that have any: name {BY_NAME}"
        ) from None
