"""Training by a recipe: what each of its keys does, and that one which was broken off comes to the same weights."""

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.profiles import Training
from bench.workloads.datasets import library
from bench.workloads.images.samples import ImageData
from bench.workloads.models import build_model, models
from bench.workloads.training.lesson import Lesson, learn
from bench.workloads.training.recipe import augmentation, training_objective, training_optimizer

EVERYTHING: dict[str, Any] = {
    "nesterov": True,
    "weight_decay": 5e-4,
    "decay": "weights",
    "label_smoothing": 0.1,
    "flip": True,
    "crop": 1,
    "channels_last": True,
    "dtype": "bfloat16",
}


def digits() -> ImageData:
    return library()("digits", 8)


def lesson(training: Training, model: str = "cnn") -> Lesson:
    return Lesson(model, digits(), torch.arange(200), training, 3, torch.device("cpu"))


class BrokenOffError(Exception):
    pass


def until(step: int) -> Any:
    def track(steps: Iterable[int]) -> Iterator[int]:
        for number in steps:
            if number == step:
                raise BrokenOffError
            yield number

    return track


@pytest.mark.parametrize("model", ["resnet20", "dropping"])
@pytest.mark.parametrize("recipe", [{}, EVERYTHING], ids=["plain", "everything"])
@pytest.mark.parametrize("step", [2, 4, 9])
def test_a_training_that_was_broken_off_comes_to_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recipe: dict[str, Any], model: str, step: int
) -> None:
    """Four steps an epoch: before anything was kept, at an epoch's end, and within one; to the bit, buffers too."""

    def dropping(spec: Any) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(64, spec.classes))

    monkeypatch.setitem(models._entries, "dropping", dropping)
    unfinished = tmp_path / "unfinished.pt"
    given = lesson(Training(epochs=3, batch_size=50, lr=0.1, **recipe), model)
    whole = learn(given).state_dict()
    with pytest.raises(BrokenOffError):
        learn(given, until(step), unfinished=unfinished)
    assert unfinished.exists() == (step >= 4)
    torch.rand(5)  # wherever torch's own generator stands
    seen: list[int] = []

    def watched(steps: Iterable[int]) -> Iterator[int]:
        return (seen.append(number) or number for number in steps)

    again = learn(given, watched, unfinished=unfinished).state_dict()
    assert seen == list(range(step // 4 * 4, 12))
    assert all(torch.equal(value, again[name]) for name, value in whole.items())


def test_some_steps_are_the_first_ones() -> None:
    given = lesson(Training(epochs=2, batch_size=50, lr=0.1))
    seen: list[int] = []
    learn(given, lambda steps: (seen.append(number) or number for number in steps), steps=3)
    assert seen == [0, 1, 2]


def test_the_model_that_comes_out_has_its_weights_as_any_other() -> None:
    model = learn(lesson(Training(epochs=1, batch_size=50, lr=0.1, **EVERYTHING)))
    assert all(parameter.is_contiguous() and parameter.dtype == torch.float32 for parameter in model.parameters())


def test_the_learning_rate_has_one_cycle_and_the_momentum_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    rates: list[tuple[float, float]] = []

    class Watched(torch.optim.SGD):
        def step(self, closure: Any = None) -> Any:
            rates.extend((group["lr"], group["momentum"]) for group in self.param_groups)
            return super().step(closure)

    monkeypatch.setattr(torch.optim, "SGD", Watched)
    learn(lesson(Training(epochs=5, batch_size=50, lr=0.1, momentum=0.7)))
    highest = max(rate for rate, _ in rates)
    assert highest == pytest.approx(0.1, rel=0.02)
    assert rates[0][0] < highest > rates[-1][0]
    assert {momentum for _, momentum in rates} == {0.7}


@pytest.mark.parametrize("decay", ["all", "weights"])
def test_weight_decay_holds_what_it_says(decay: str) -> None:
    """A step of plain SGD on a loss without gradient shrinks a parameter by lr * decay, or leaves it."""
    model = build_model("resnet20", digits().spec, 0)
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    training = Training(epochs=1, batch_size=2, lr=0.5, momentum=0.0, weight_decay=0.1, decay=decay)
    optimizer = training_optimizer(model, training)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for name, value in model.named_parameters():
        held = decay == "all" or before[name].ndim > 1
        assert torch.allclose(value, before[name] * (0.95 if held else 1.0)), name


def test_smoothed_labels_are_a_mixture_with_the_uniform() -> None:
    """(1 - s) times the cross-entropy plus s times its mean over all classes."""
    torch.manual_seed(0)
    logits, targets = torch.randn(5, 10), torch.arange(5)
    training = Training(epochs=1, batch_size=2, lr=0.1, label_smoothing=0.2)
    found = training_objective(training)(nn.Identity(), logits, targets)
    over_all = -logits.log_softmax(1).mean()
    assert found.item() == pytest.approx((0.8 * F.cross_entropy(logits, targets) + 0.2 * over_all).item(), rel=1e-6)


def test_images_are_mirrored_and_shifted_each_by_itself() -> None:
    """Every image is one of the 2 x 3 x 3 that flip and crop = 1 allow, and all of them come up."""
    image = torch.arange(3 * 36.0).view(3, 6, 6)
    framed = F.pad(image[None], (1, 1, 1, 1), mode="reflect")[0]
    possible = [
        shifted.flip(-1) if mirrored else shifted
        for top in range(3)
        for left in range(3)
        for mirrored in (False, True)
        for shifted in [framed[:, top : top + 6, left : left + 6]]
    ]
    torch.manual_seed(0)
    changed = augmentation(Training(epochs=1, batch_size=2, lr=0.1, flip=True, crop=1), 6)(image.expand(400, 3, 6, 6))
    counts = torch.tensor([sum(torch.equal(one, other) for one in changed) for other in possible])
    assert counts.sum() == 400
    expected, deviation = 400 / 18, math.sqrt(400 / 18 * 17 / 18)
    assert ((counts - expected).abs() < 5 * deviation).all()


def test_images_stay_as_they_are_without_being_asked_for_more() -> None:
    images: Tensor = torch.rand(4, 3, 6, 6)
    assert augmentation(Training(epochs=1, batch_size=2, lr=0.1), 6)(images) is images
