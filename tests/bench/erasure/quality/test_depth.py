"""The depth of forgetting: the ridge against independent solutions, probes whose answer is known beforehand."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from sklearn.linear_model import Ridge
from torch import nn

from bench.erasure.erasure import Erasure
from bench.erasure.quality.depth import DRAWS, SHOTS, NoProbeError, depth, depth_at, features, recovered, ridge
from bench.profiles import Preprocessing
from bench.workloads.images.prepare import Means, prepare
from bench.workloads.images.samples import ImageData, PerClass, RawData
from bench.workloads.splits import Split, split
from zo_core.ascent.tail import head

ErasureOf = Callable[[str], Erasure]
CLASSES = ("a", "b", "c", "d")


@pytest.mark.parametrize(("n", "d"), [(40, 7), (7, 40), (20, 20)])
@pytest.mark.parametrize("strength", [0.01, 1.0, 300.0])
def test_the_ridge_is_that_of_scikit_learn(n: int, d: int, strength: float) -> None:
    """More samples than features, fewer, and as many: primal and dual."""
    drawing = torch.Generator().manual_seed(n)
    inputs = 3 + torch.randn(n, d, generator=drawing, dtype=torch.float64)
    targets = torch.randn(n, 4, generator=drawing, dtype=torch.float64)
    weights, intercept = ridge(inputs, targets, strength)
    expected = Ridge(alpha=strength).fit(inputs.numpy(), targets.numpy())
    assert torch.allclose(weights.T, torch.tensor(expected.coef_), rtol=1e-8, atol=1e-10)
    assert torch.allclose(intercept, torch.tensor(expected.intercept_), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize(("n", "d"), [(9, 6), (6, 9)])
def test_the_ridge_is_where_its_loss_has_no_slope(n: int, d: int) -> None:
    drawing = torch.Generator().manual_seed(d)
    inputs, targets = (torch.randn(n, width, generator=drawing, dtype=torch.float64) for width in (d, 3))
    weights, intercept = (found.requires_grad_() for found in ridge(inputs, targets, 0.5))
    ((inputs @ weights + intercept - targets).square().sum() + 0.5 * weights.square().sum()).backward()
    for solution in (weights, intercept):
        assert solution.grad is not None
        assert solution.grad.abs().max() < 1e-10


class Flat(nn.Module):
    """The pixels themselves are the features; the last layer is there to be probed."""

    def __init__(self, pixels: int) -> None:
        super().__init__()
        self.last = nn.Linear(pixels, len(CLASSES))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.last(images.flatten(1))
        return logits


def data_of(train: torch.Tensor, test: torch.Tensor, labels: torch.Tensor, unseen: torch.Tensor) -> ImageData:
    raw = RawData(train, labels, test, unseen, CLASSES)
    return prepare("made", raw, train.shape[-1], Means(Preprocessing(), PerClass(), Path(), print))


def of(erasure: Erasure, data: ImageData, seed: int = 0) -> Erasure:
    """An erasure of class b of other data; only what a probe looks at is exchanged."""
    case = erasure.case.model_copy(update={"seed": seed})
    return replace(erasure, case=case, data=data, split=split(data, "class:b", 0), known={})


def labels_of(each: int) -> torch.Tensor:
    return torch.arange(len(CLASSES)).repeat_interleave(each)


@pytest.fixture
def erasure(erasure_of: ErasureOf) -> Erasure:
    return erasure_of("class:3")


def test_classes_apart_are_recovered_whole(erasure: Erasure) -> None:
    """Each class lights a pixel of its own, under noise a tenth as strong: a few samples tell them apart."""
    drawing = torch.Generator().manual_seed(0)
    labels = labels_of(30)
    lit = torch.eye(len(CLASSES))[labels].reshape(-1, 1, 2, 2)
    train, test = (lit + 0.1 * torch.randn(lit.shape, generator=drawing) for _ in range(2))
    assert recovered(of(erasure, data_of(train, test, labels, labels)), Flat(4), (5, 20)) == [100, 100]


def test_of_features_that_say_nothing_the_probe_knows_nothing(erasure: Erasure) -> None:
    """Noise, in 60 data sets of 40 unseen samples of the class: one of four classes is guessed.

    By symmetry each class is as likely as another whatever the samples are, so the mean is 25 %; the standard error is
    taken from the 60 means, which are independent. Within five of them.
    """
    means = []
    for seed in range(60):
        drawing = torch.Generator().manual_seed(seed)
        train, test = (torch.randn(count, 1, 4, 4, generator=drawing) for count in (80, 160))
        data = data_of(train, test, labels_of(20), labels_of(40))
        means.append(recovered(of(erasure, data, seed), Flat(16), (5,))[0])
    found = torch.tensor(means)
    assert abs(found.mean() - 25) < 5 * found.std() / math.sqrt(60)
    assert 0 < found.std() / math.sqrt(60) < 1


def test_a_change_of_the_last_layer_hides_and_nothing_else(erasure: Erasure) -> None:
    """The class cannot be answered any more; what the probe sees is the original's to the bit."""
    model = erasure.fresh_model()
    last = head(model)
    assert isinstance(last, nn.Linear)
    with torch.no_grad():
        last.bias[3] -= 1000
        last.weight.mul_(-2)
    probes, missing = depth(erasure, model)
    assert erasure.evaluate(model).forget_accuracy == 0
    assert probes is not None
    assert missing is None
    assert [probe.shots for probe in probes] == list(SHOTS)
    assert [probe.model for probe in probes] == [probe.original for probe in probes]


def test_a_network_of_other_features_has_another_probe(erasure: Erasure) -> None:
    """Weights of the first layers that are set to nothing leave features that are the same for every sample."""
    model = erasure.fresh_model()
    with torch.no_grad():
        next(model.parameters()).zero_()
    probes, _ = depth(erasure, model)
    assert probes is not None
    assert probes[-1].model in (0, 100)  # every sample is answered alike
    assert 0 < probes[-1].original < 100


def test_each_model_is_probed_by_itself(erasure: Erasure) -> None:
    """What stands beside one another in a record is what each of the three gives alone; few shots are not many."""
    retrain = erasure.retrained_model
    assert retrain is not None
    model = erasure.fresh_model()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(0.5)
    probes, _ = depth(erasure, model)
    assert probes is not None
    for probe in probes:
        alone = [depth_at(erasure, one, probe.shots) for one in (model, erasure.original, retrain)]
        assert [probe.model, probe.original, probe.retrained] == alone
    assert probes[0].original < probes[-1].original
    without, _ = depth(replace(erasure, retrained_model=None, known={}), model)
    assert without == tuple(probe.model_copy(update={"retrained": None}) for probe in probes)


def test_the_probe_is_scikit_learn_s(erasure: Erasure) -> None:
    """The whole of it by other means: draws counted here, standardized by hand, ridge classifiers of scikit-learn."""
    data, shots = erasure.data, 5
    batch = 512
    train = features(erasure.original, data.train, torch.arange(len(data.train)), batch)
    unseen = features(erasure.original, data.test, erasure.split.unseen, batch)
    drawn = torch.Generator().manual_seed(1)
    accuracies = []
    for _ in range(200):
        order = torch.randperm(len(data.train), generator=drawn)
        some = torch.cat([order[data.train.labels[order] == label][:shots] for label in range(10)])
        mean, scale = train[some].mean(0), train[some].std(0, correction=0).clamp(min=1e-12)
        one_hot = torch.eye(10)[data.train.labels[some]]
        fitted = Ridge(alpha=len(some)).fit(((train[some] - mean) / scale).numpy(), one_hot.numpy())
        answers = fitted.predict(((unseen - mean) / scale).numpy()).argmax(1)
        accuracies.append(100 * (answers == 3).mean())
    found = torch.tensor(accuracies)
    error = found.std() / math.sqrt(DRAWS)
    assert abs(recovered(erasure, erasure.original, [shots])[0] - found.mean()) < 4 * error


def test_looking_leaves_the_mode_of_the_model_and_no_hook(erasure: Erasure) -> None:
    model = erasure.fresh_model().train()
    seen = features(model, erasure.data.test, torch.arange(7), 4)
    assert model.training
    assert not head(model)._forward_pre_hooks
    assert torch.allclose(seen, features(model.eval(), erasure.data.test, torch.arange(7), 7), rtol=1e-5, atol=1e-6)


def test_a_convolution_is_given_the_mean_over_positions(erasure: Erasure) -> None:
    """As the networks that end in one take it after it."""
    model = nn.Sequential(nn.Conv2d(1, 10, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    images = erasure.data.test.images[torch.arange(6)]
    seen = features(model, erasure.data.test, torch.arange(6), 4)
    assert torch.allclose(seen, images.double().mean((2, 3)), atol=1e-6)


def test_without_a_class_the_samples_themselves_are_asked_about(erasure: Erasure) -> None:
    """Each sample lights a pixel of its class, but those to be forgotten one of another class: a probe that has not
    been fitted to them is wrong on every one, and would be right on most had it seen them.
    """
    labels = labels_of(30)
    forget = torch.arange(0, len(labels), 10)
    lit = torch.eye(len(CLASSES))[labels]
    lit[forget] = torch.eye(len(CLASSES))[(labels[forget] + 1) % len(CLASSES)]
    drawing = torch.Generator().manual_seed(0)
    train = lit.reshape(-1, 1, 2, 2) + 0.01 * torch.randn(len(labels), 1, 2, 2, generator=drawing)
    kept = torch.ones(len(labels), dtype=torch.bool)
    kept[forget] = False
    parts = Split(forget, kept.nonzero().flatten(), torch.arange(4), torch.arange(4), None)
    asked = replace(of(erasure, data_of(train, train, labels, labels)), split=parts)
    assert recovered(asked, Flat(4), (5, 20)) == [0, 0]
    assert depth_at(asked, Flat(4), 5) is None  # no search is held to it
    (probe, *_), _ = depth(replace(asked, original=Flat(4), retrained_model=None), Flat(4))
    assert (probe.model, probe.original, probe.retrained) == (0, 0, None)


def test_without_test_data_of_the_class_neither(erasure: Erasure) -> None:
    blind = replace(erasure, split=replace(erasure.split, unseen=torch.arange(0)))
    assert depth(blind, erasure.original) == (None, "there are no test data of the class")


@pytest.mark.parametrize(("each", "expected"), [(4, ()), (5, (5,)), (99, (5, 20)), (100, (5, 20, 100))])
def test_the_smallest_class_decides_how_many_shots_there_are(
    erasure: Erasure, each: int, expected: tuple[int, ...]
) -> None:
    """It need not be the one that is forgotten."""
    labels = torch.cat([labels_of(110)[:330], torch.full((each,), 3)])
    images = torch.randn(len(labels), 1, 2, 2, generator=torch.Generator().manual_seed(0))
    made = of(erasure, data_of(images, images, labels, labels))
    probes, missing = depth(replace(made, original=Flat(4), retrained_model=None), Flat(4))
    assert tuple(probe.shots for probe in probes or ()) == expected
    assert (probes is None) == (not expected)
    assert (missing is None) == (expected == SHOTS)
    assert missing is None or f"has {each} training samples" in missing
    if expected != SHOTS:
        with pytest.raises(NoProbeError, match="fewer than 100"):
            recovered(made, Flat(4), [100])


def test_a_model_without_a_last_layer_or_finite_features_has_no_probe(erasure: Erasure) -> None:
    broken = erasure.fresh_model()
    with torch.no_grad():
        next(broken.parameters()).fill_(math.nan)
    assert depth(erasure, broken) == (None, "the features of the last layer are not finite")
    assert depth_at(erasure, broken, 5) is None

    class Constant(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.logits = nn.Parameter(torch.zeros(10))

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.logits.expand(len(images), 10)

    probes, missing = depth(erasure, Constant())
    assert probes is None
    assert missing is not None
    assert "no linear or convolutional layer" in missing


def test_a_last_layer_that_takes_no_part_is_told(erasure: Erasure) -> None:
    class Idle(Flat):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.flatten(1)[:, :10]

    assert depth(erasure, Idle(64)) == (None, "the last layer is not given each sample once")
