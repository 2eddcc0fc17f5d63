"""Tails: which parameters they are in networks whose blocks are known, and that nothing else moves."""

import copy
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice, repeat

import pytest
import torch
from torch import nn

from bench.arms.arm import Batch, Hyperparameters, Request, begin
from bench.arms.table import methods, methods_for
from bench.record import Tail
from bench.workloads.models import ImageSpec, build_model, models
from zo_core import take_step
from zo_core.ascent.tail import head, move_only, tail_of

ARMS = [name for name in methods_for("unlearning") if methods.get(name).start is not None]


def made(name: str, size: int = 224) -> nn.Module:
    """Shapes alone, no memory."""
    with torch.device("meta"):
        return models.get(name)(ImageSpec(3, size, 13))


def names(model: nn.Module, tail: Tail) -> list[str]:
    known = {parameter: name for name, parameter in model.named_parameters()}
    return [known[parameter] for parameter in tail_of(model, tail)]


def in_modules(model: nn.Module, paths: Iterable[str]) -> list[str]:
    """The names of the parameters of these submodules, in the model's order."""
    begins = tuple(f"{path}." for path in paths)
    return [name for name, _ in model.named_parameters() if name.startswith(begins)]


# From the papers' and torchvision's tables of layers: the last block, what else is in the last quarter, the head.
KNOWN: dict[str, tuple[list[str], list[str], str]] = {
    "cnn": (["5"], [], "9"),  # three convolutions
    "resnet20": (["11"], ["9", "10"], "14"),  # the stem, 3 x 3 residual blocks: the third stage
    "resnet18": (["layer4.1"], ["layer4.0"], "fc"),  # the stem, 4 x 2
    "resnet34": (["layer4.2"], ["layer4.0", "layer4.1", "layer3.5"], "fc"),  # the stem, 3 + 4 + 6 + 3: 17 / 4 is 4
    "vgg11": (["classifier.3"], ["features.18", "classifier.0"], "classifier.6"),  # 8 convolutions, 2 linear layers
    "vgg11_bn": (["classifier.3"], ["features.25", "features.26", "classifier.0"], "classifier.6"),  # with its norm
    "vit_b_16": (
        ["encoder.layers.encoder_layer_11", "encoder.ln"],  # the patches, 12 layers
        ["encoder.layers.encoder_layer_9", "encoder.layers.encoder_layer_10"],
        "heads.head",
    ),
    "mobilenet_v2": (  # the stem, 17 inverted residuals, a convolution: 19 / 4 is 5
        ["features.18"],
        ["features.14", "features.15", "features.16", "features.17"],
        "classifier.1",
    ),
    "mobilenet_v3_small": (  # the stem, 11 inverted residuals with squeeze and excitation, a convolution, a layer
        ["classifier.0"],
        ["features.10", "features.11", "features.12"],
        "classifier.3",
    ),
    "densenet121": (  # the stem, 6 + 12 + 24 + 16 layers, 3 transitions: 62 / 4 is 16, which is the last dense block
        ["features.denseblock4.denselayer16", "features.norm5"],
        [f"features.denseblock4.denselayer{number}" for number in range(1, 16)],
        "classifier",
    ),
    "googlenet": (["inception5b"], ["inception4e", "inception5a"], "fc"),  # 3 convolutions, 9 inceptions
    "squeezenet1_0": (["features.12"], ["features.10"], "classifier.1"),  # a convolution, 8 fires
    "swin_t": (  # the patches, 2 + 2 + 6 + 2 layers, 3 mergings: 16 / 4
        ["features.7.1", "norm"],
        ["features.5.5", "features.6", "features.7.0"],
        "head",
    ),
    "convnext_tiny": (  # the patches, 3 + 3 + 9 + 3 blocks, 3 scalings between: 22 / 4 rounds to 6
        ["features.7.2", "classifier.0"],
        ["features.5.7", "features.5.8", "features.6", "features.7.0", "features.7.1"],
        "classifier.2",
    ),
}


@pytest.mark.parametrize("name", KNOWN)
def test_the_tails_of_a_known_network_are_its_blocks(name: str) -> None:
    model = made(name)
    block, stage, last = KNOWN[name]
    assert names(model, "layer") == in_modules(model, [last])
    assert names(model, "block") == in_modules(model, [*block, last])
    assert names(model, "stage") == in_modules(model, [*stage, *block, last])
    assert names(model, "all") == [key for key, _ in model.named_parameters()]


@pytest.mark.parametrize("name", ["cnn", "resnet18", "vit_b_16", "mobilenet_v3_small", "maxvit_t", "inception_v3"])
def test_a_tail_holds_the_shorter_ones_and_each_parameter_once(name: str) -> None:
    model = made(name)
    layer, block, stage, everything = (names(model, tail) for tail in ("layer", "block", "stage", "all"))
    assert set(layer) < set(block) <= set(stage) < set(everything)
    assert all(len(tail) == len(set(tail)) for tail in (layer, block, stage, everything))
    assert everything[-len(stage) :] == stage  # from the output backwards: nothing is left out between


class Residual(nn.Module):
    """x + f(x)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.f = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.f(x)  # type: ignore[no-any-return]


class Wrapped(nn.Module):
    """A network in a network, as libraries have it; its head has a norm of its own."""

    def __init__(self, blocks: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3, 4))
        self.body = nn.Module()
        self.body.stem = nn.Linear(4, 4)
        self.body.stages = nn.ModuleList([nn.Sequential(Residual(4)) for _ in range(blocks)])
        self.head = nn.Module()
        self.head.norm, self.head.fc = nn.LayerNorm(4), nn.Linear(4, 2)


def test_what_merely_holds_blocks_is_walked_into_wherever_it_is() -> None:
    model = Wrapped(8)
    assert names(model, "block") == in_modules(model, ["body.stages.7", "head"])
    assert names(model, "stage") == in_modules(model, ["body.stages.6", "body.stages.7", "head"])


def test_a_head_is_part_of_no_other_block_and_shared_weights_count_once() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4, bias=False))
    model[2].weight = model[0].weight
    assert names(model, "block") == ["1.weight", "1.bias", "0.weight"]


def test_a_network_of_one_layer_has_but_that() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    assert [names(model, tail) for tail in ("stage", "block", "layer")] == [["1.weight", "1.bias"]] * 3


def test_what_was_frozen_stays_frozen_and_a_tail_without_anything_to_move_is_told() -> None:
    model = build_model("cnn", ImageSpec(1, 8, 10), seed=0)
    model[5].bias.requires_grad_(False)
    move_only(model, "block")
    assert [key for key, value in model.named_parameters() if value.requires_grad] == ["5.weight", "9.weight", "9.bias"]
    with pytest.raises(ValueError, match="all of the layer that is to move is frozen: give a longer tail"):
        move_only(model.requires_grad_(False), "layer")


def batches(seed: int) -> Iterator[Batch]:
    generator = torch.Generator().manual_seed(seed)
    while True:
        yield torch.randn(4, 1, 8, 8, generator=generator), torch.randint(10, (4,), generator=generator)


@pytest.mark.parametrize("tail", ["all", "stage", "block", "layer"])
@pytest.mark.parametrize("name", ARMS)
def test_every_arm_moves_all_of_its_tail_and_nothing_else(name: str, tail: Tail) -> None:
    """Of salun's half of the weights, some in every tensor; subspace moves weights, but no vectors.

    An arm that cannot move a tail moves the longest that it can.
    """
    start = build_model("resnet20", ImageSpec(1, 8, 10), seed=0).eval()
    model = copy.deepcopy(start)
    given = Hyperparameters(lr=1e-3, eps=1e-3, seed=0, tail=tail)
    once = list(islice(batches(1), 2))
    steps = begin(methods.get(name), Request(model, batches(1), batches(2), lambda: once, 10, given))
    for batch in islice(steps.batches, max(2, steps.cycle)):
        take_step(steps.optimizer, partial(steps.objective, model, *batch))
    both = zip(model.named_parameters(), start.parameters(), strict=True)
    moved = [key for (key, now), then in both if not torch.equal(now, then)]
    expected = names(model, methods.get(name).tail_of(tail))
    vectors = [key for key, value in start.named_parameters() if value.dim() == 1] if name == "subspace" else []
    assert moved == [key for key in expected if key not in vectors]


def test_mezo_leaves_what_is_frozen_alone() -> None:
    start = build_model("cnn", ImageSpec(1, 8, 10), seed=0).eval()
    model = copy.deepcopy(start)
    batch = next(batches(0))
    request = Request(model, repeat(batch), repeat(batch), lambda: [batch], 10, Hyperparameters(1e-2, 1e-3, 0, "layer"))
    steps = begin(methods.get("zo-mezo"), request)
    take_step(steps.optimizer, partial(steps.objective, model, *batch))
    both = zip(model.parameters(), start.parameters(), strict=True)
    assert [torch.equal(now, then) for now, then in both] == [True] * 6 + [False] * 2


def test_salun_takes_its_share_of_what_moves() -> None:
    """Half of the head's weights, however much larger other gradients are."""
    start = build_model("cnn", ImageSpec(1, 8, 10), seed=0).eval()
    model = copy.deepcopy(start)
    batch = next(batches(0))
    request = Request(model, repeat(batch), repeat(batch), lambda: [batch], 10, Hyperparameters(1e-2, 1e-3, 0, "layer"))
    steps = begin(methods.get("salun"), request)
    take_step(steps.optimizer, partial(steps.objective, model, *next(steps.batches)))
    moved = sum(
        int((now != then).sum()) for now, then in zip(model[9].parameters(), start[9].parameters(), strict=True)
    )
    assert moved == 2570 // 2


def test_the_head_is_the_layer_that_gives_the_logits() -> None:
    """For every model there is, built without memory; and the other tails hold it.

    RegNets compute with tensors when they are made; they end in fc, as ResNets do.
    """
    ours = [name for name in models if models.module(name).startswith("bench.") and not name.startswith("regnet")]
    wrong = []
    for name in ours:
        model = made(name)
        last = head(model)
        gives = 13 in (getattr(last, "out_features", None), getattr(last, "out_channels", None))
        if not gives or not set(last.parameters()) < set(tail_of(model, "block")) < set(model.parameters()):
            wrong.append(name)
    assert not wrong
    assert len(ours) > 50


def test_a_model_without_layers_has_no_head() -> None:
    with pytest.raises(ValueError, match="Flatten has no linear or convolutional layer"):
        head(nn.Flatten())
