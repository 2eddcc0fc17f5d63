"""The unlearning arms against hand computation, and what they may touch: which data, which weights, which model."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from itertools import islice, repeat

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.arms.arm import Batch, Hyperparameters, Request, Steps
from bench.arms.arm import begin as begin_arm
from bench.arms.optimizers import ClippedSGD, MaskedSGD
from bench.arms.table import CLIP, L1_STRENGTH, methods, methods_for
from bench.erasure.erasure import Erasure
from bench.erasure.quality.evaluation import Evaluation
from bench.workloads.models import ImageSpec, build_model
from zo_core import ZOSGD, cross_entropy, take_step
from zo_core.ascent.tail import tail_of

Of = Callable[[str], Erasure]

ON_ESTIMATE = ["zo-sign", "zo-momentum", "zo-adam"]
FIRST_ORDER = ["fo-ga", "fo-ga-head", "fo-ga-tail", "fo-ga-clipped", "fo-ga-matched"]
NORMALIZED = ["zo-ga-normalized", "zo-ga-fast"]
OF_BLOCKS = ["zo-ga-blocks", "zo-ga-prefix"]
FORGET_ALONE = [*FIRST_ORDER, "zo-ga", "zo-ga-clipped", *OF_BLOCKS, *NORMALIZED, *ON_ESTIMATE]
RETAIN_ALONE = ["finetune", "l1-sparse"]
PAIRS = ["fo-neggrad-plus", "zo-neggrad-plus", "random-label", "salun"]
ARMS = [*FORGET_ALONE, *RETAIN_ALONE, *PAIRS, "subspace"]
ZEROTH_ORDER = ["zo-ga", "zo-ga-clipped", "zo-neggrad-plus", *OF_BLOCKS, *NORMALIZED, *ON_ESTIMATE]


def untouchable(what: str) -> Iterator[Batch]:
    """A stream that must not be drawn from."""
    raise AssertionError(f"a {what} batch was drawn")
    yield


def batches(seed: int, size: int = 6, classes: int = 4) -> Iterator[Batch]:
    """Random ones without end, for `network()`."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        inputs = torch.randn(size, 1, 3, 3, generator=generator, dtype=torch.float64)
        yield inputs, torch.randint(classes, (size,), generator=generator)


def network() -> nn.Module:
    """In float64, smooth, and with no gradient that is zero: 9 to 8 to 4."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(9, 8), nn.Tanh(), nn.Linear(8, 4)).double().eval()


def request(
    model: nn.Module,
    forget: Iterator[Batch] | None = None,
    retain: Iterator[Batch] | None = None,
    forget_once: Callable[[], Iterable[Batch]] | None = None,
    lr: float = 0.1,
    seed: int = 0,
    classes: int = 4,
) -> Request:
    return Request(
        model,
        forget=batches(1) if forget is None else forget,
        retain=batches(2) if retain is None else retain,
        forget_once=forget_once or (lambda: islice(batches(1), 2)),
        classes=classes,
        hyperparameters=Hyperparameters(lr, 1e-4, seed),
    )


def begin(name: str, given: Request) -> Steps:
    return begin_arm(methods.get(name), given)


def go(steps: Steps, model: nn.Module, count: int) -> list[float]:
    """Take so many steps; returns their losses."""
    return [
        take_step(steps.optimizer, partial(steps.objective, model, *batch)) for batch in islice(steps.batches, count)
    ]


def weights(model: nn.Module) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in model.parameters()]


def flat(values: Iterable[Tensor]) -> Tensor:
    return torch.cat([value.flatten() for value in values])


def gradient(model: nn.Module, *losses: tuple[float, Batch]) -> list[Tensor]:
    """Of a weighted sum of cross-entropies, each a mean over its batch."""
    total = sum(weight * F.cross_entropy(model(inputs), targets) for weight, (inputs, targets) in losses)
    return list(torch.autograd.grad(total, list(model.parameters())))


def moved_by(model: nn.Module, start: list[Tensor]) -> list[Tensor]:
    return [now - then for now, then in zip(weights(model), start, strict=True)]


def same(one: Iterable[Tensor], other: Iterable[Tensor]) -> bool:
    """To the bit."""
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def close(one: Iterable[Tensor], other: Iterable[Tensor]) -> bool:
    """To float64's rounding."""
    return all(torch.allclose(a, b, rtol=1e-9, atol=1e-12) for a, b in zip(one, other, strict=True))


def test_every_arm_that_ships_is_tested_here() -> None:
    ours = [name for name in methods_for("unlearning") if methods.module(name) == methods.module("fo-ga")]
    assert sorted(ours) == sorted([*ARMS, "retrain"])


# What data they see


@pytest.mark.parametrize("name", RETAIN_ALONE)
def test_fine_tuning_never_draws_a_forget_batch(name: str) -> None:
    model = network()
    given = request(model, forget=untouchable("forget"), forget_once=lambda: untouchable("forget"))
    go(begin(name, given), model, 3)


@pytest.mark.parametrize("name", FORGET_ALONE)
def test_ascent_never_draws_a_retain_batch(name: str) -> None:
    model = network()
    go(begin(name, request(model, retain=untouchable("retain"))), model, 3)


@pytest.mark.parametrize("name", PAIRS)
def test_the_others_draw_one_of_each_a_step(name: str) -> None:
    model, (forget, retain) = network(), (iter(list(islice(batches(seed), 9))) for seed in (1, 2))
    go(begin(name, request(model, forget=forget, retain=retain)), model, 3)
    assert len(list(forget)) == len(list(retain)) == 6


# What their steps are


@pytest.mark.parametrize("name", ["fo-ga", "finetune"])
def test_plain_steps_go_along_the_gradient(name: str) -> None:
    """Ascent up on the forget batch, fine-tuning down on the retain batch."""
    model, lr = network(), 0.1
    start, sign, seed = weights(model), *((1, 1) if name == "fo-ga" else (-1, 2))
    expected = [sign * lr * slope for slope in gradient(model, (1.0, next(batches(seed))))]
    go(begin(name, request(model, lr=lr)), model, 1)
    assert close(moved_by(model, start), expected)


@pytest.mark.parametrize("scale", [1e-2, 30.0])
def test_clipped_ascent_by_hand(scale: float) -> None:
    """A linear layer's gradient is (softmax - onehot)^T x / N. Its norm, over weight and bias, is clipped at 1."""
    model = nn.Linear(2, 3).double()
    model.weight.data = torch.tensor([[0.1, -0.2], [0.3, 0.0], [-0.1, 0.2]], dtype=torch.float64)
    model.bias.data = torch.tensor([0.1, 0.0, -0.3], dtype=torch.float64)
    inputs = scale * torch.tensor([[1.0, 2.0], [-1.0, 0.5]], dtype=torch.float64)
    targets = torch.tensor([0, 2])
    errors = ((inputs @ model.weight.T + model.bias).softmax(1) - F.one_hot(targets, 3)).detach() / 2
    slopes = [errors.T @ inputs, errors.sum(0)]
    norm = flat(slopes).norm().item()
    assert (norm > CLIP) is (scale > 1)
    start = weights(model)
    go(begin("fo-ga-clipped", request(model, forget=repeat((inputs, targets)), lr=0.25, classes=3)), model, 1)
    for moved, slope in zip(moved_by(model, start), slopes, strict=True):
        assert torch.allclose(moved, 0.25 * slope * min(1.0, CLIP / norm), rtol=1e-5, atol=1e-12)


@pytest.mark.parametrize("maximize", [True, False])
def test_a_clipped_step_is_no_longer_than_the_bound(maximize: bool) -> None:
    """On a linear loss with gradient (3, 4): clipped at 2 the step is 2 lr (0.6, 0.8), at 10 it is the gradient's."""
    for bound, expected in ((2.0, [1.2, 1.6]), (10.0, [3.0, 4.0])):
        theta = nn.Parameter(torch.zeros(2, dtype=torch.float64))
        optimizer = ClippedSGD([theta], lr=0.5, max_norm=bound, maximize=maximize)
        slope = torch.tensor([3.0, 4.0], dtype=torch.float64)
        loss = take_step(optimizer, lambda slope=slope, theta=theta: 7 + slope @ theta)
        assert loss == 7
        sign = 1 if maximize else -1
        assert torch.allclose(theta, sign * 0.5 * torch.tensor(expected, dtype=torch.float64), rtol=1e-5)


def test_a_masked_step_changes_only_what_is_selected() -> None:
    """Two steps down the loss sum(a p^2 / 2): selected weights shrink by 1 - lr a each time, others stay to the bit."""
    rates = torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=torch.float64)
    theta, other = (nn.Parameter(torch.full((2, 2), value, dtype=torch.float64)) for value in (0.3, 0.7))
    masks = [torch.tensor([[True, False], [False, True]]), torch.zeros(2, 2, dtype=torch.bool)]
    optimizer = MaskedSGD([theta, other], lr=0.1, masks=masks)
    losses = [
        take_step(optimizer, lambda: (rates * theta.square()).sum() / 2 + other.square().sum() / 2) for _ in range(2)
    ]
    assert losses[0] == pytest.approx(10 * 0.09 / 2 + 4 * 0.49 / 2)
    assert losses[1] < losses[0]
    expected = torch.tensor([[0.3 * 0.9**2, 0.3], [0.3, 0.3 * 0.6**2]], dtype=torch.float64)
    assert torch.allclose(theta, expected, rtol=1e-12)
    assert torch.equal(theta[~masks[0]], torch.full((2,), 0.3, dtype=torch.float64))
    assert torch.equal(other, torch.full((2, 2), 0.7, dtype=torch.float64))


def test_a_mask_for_each_parameter() -> None:
    with pytest.raises(ValueError, match="zip"):
        MaskedSGD([nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(2))], lr=0.1, masks=[torch.ones(2) > 0])


def test_matched_steps_are_as_long_as_zo_gas() -> None:
    """zo-ga's square displacement, averaged over seeds, is fo-ga-matched's: within 5 standard errors.

    Both at one point on one batch. For normal z the mean is (d + 2) / d of it, which is allowed for.
    """
    count, lr, batch = 3000, 1e-3, next(batches(1))
    model = network()
    start, dimensions = weights(model), sum(value.numel() for value in model.parameters())

    def square(name: str, seed: int) -> float:
        with torch.no_grad():
            for now, then in zip(model.parameters(), start, strict=True):
                now.copy_(then)
        go(begin(name, request(model, forget=repeat(batch), lr=lr, seed=seed)), model, 1)
        return flat(moved_by(model, start)).square().sum().item()

    matched = square("fo-ga-matched", 0)
    assert matched == pytest.approx(lr**2 * dimensions * flat(gradient(network(), (1.0, batch))).square().sum().item())
    squares = torch.tensor([square("zo-ga", seed) for seed in range(count)], dtype=torch.float64) / matched
    error = squares.std().item() / math.sqrt(count)
    assert error < 0.04
    assert abs(squares.mean().item() - 1) < 5 * error + 2 / dimensions


def test_matched_steps_count_only_what_is_trained() -> None:
    """With the first layer frozen, sqrt(d) is that of the 36 numbers of the last one."""
    model, batch, lr = network(), next(batches(1)), 1e-2
    model[1].requires_grad_(False)
    start = weights(model)
    expected = gradient(network(), (lr * math.sqrt(8 * 4 + 4), batch))
    go(begin("fo-ga-matched", request(model, lr=lr)), model, 1)
    moved = moved_by(model, start)
    assert close(moved[2:], expected[2:])
    assert all(not value.any() for value in moved[:2])


def test_the_matched_control_runs_at_zo_gas_learning_rate() -> None:
    assert methods.get("fo-ga-matched").rate_of == "zo-ga"


def test_the_slope_that_a_clipped_zeroth_order_step_sees_is_bounded() -> None:
    """Logits blown up until the slope along z is above 1: both steps go along z, the clipped one is CLIP lr z.

    |z|^2 / d is 1 within 5 standard deviations of a chi-square.
    """
    plain, clipped, lr = network(), network(), 1e-6
    for model in (plain, clipped):
        model[3].weight.data *= 200
    start = weights(plain)
    for name, model in (("zo-ga", plain), ("zo-ga-clipped", clipped)):
        go(begin(name, request(model, lr=lr, seed=3)), model, 1)
    along, bounded = (flat(moved_by(model, start)) for model in (plain, clipped))
    ratio = along.norm() / bounded.norm()
    assert ratio > 2
    assert F.cosine_similarity(along, bounded, dim=0).abs().item() == pytest.approx(1)
    dimensions = len(bounded)
    assert abs((bounded.norm().item() / lr / CLIP) ** 2 / dimensions - 1) < 5 * math.sqrt(2 / dimensions)


def test_the_fast_arm_is_zosgd_with_everything_that_makes_it_cheap_to_the_bit() -> None:
    """And takes fewer passes: in a network of two layers, 16 blocks and 4 steps on a batch, two rounds of blocks."""
    fast, plain = network(), network()
    steps = begin("zo-ga-fast", request(fast, lr=0.01))
    losses = go(steps, fast, 128)
    optimizer = ZOSGD(
        plain.parameters(), 0.01, eps=1e-4, maximize=True, seed=0, normalize=True, blocks=16, steps_per_batch=4
    )
    expected = [
        take_step(optimizer, partial(cross_entropy, plain, *batch))
        for batch in islice(batches(1), 32)
        for _ in range(4)
    ]
    assert losses == expected
    assert same(weights(fast), weights(plain))
    assert steps.forwards is not None
    assert 128 < steps.forwards() < 2 * 128


def test_the_prefix_arm_takes_the_steps_of_the_blocks_arm_to_the_bit() -> None:
    """And fewer passes: three rounds of blocks, of which a quarter begin behind the first of two layers."""
    losses, ends = [], []
    for name in OF_BLOCKS:
        model = network()
        steps = begin(name, request(model, lr=0.01))
        losses.append(go(steps, model, 48))
        ends.append(weights(model))
    assert losses[0] == losses[1]
    assert same(*ends)
    assert not same(ends[0], weights(network()))
    assert steps.forwards is not None
    assert 48 < steps.forwards() < 2 * 48


def test_the_normalized_arm_steps_as_long_whatever_the_loss_is_multiplied_by() -> None:
    """The first step is lr z exactly: g over the root of its own square."""
    model = network()
    start = weights(model)
    go(begin("zo-ga-normalized", request(model, lr=0.01)), model, 1)
    z = flat(moved_by(model, start)) / 0.01
    assert 0.5 < z.square().mean() < 2
    scaled = network()
    steps = begin("zo-ga-normalized", request(scaled, lr=0.01))
    go(replace(steps, objective=lambda *of: 1000 * cross_entropy(*of)), scaled, 1)
    assert close(weights(scaled), weights(model))


def test_neggrad_plus_goes_up_on_forget_and_down_on_retain() -> None:
    model, lr = network(), 0.1
    start = weights(model)
    expected = gradient(model, (lr / 2, next(batches(1))), (-lr / 2, next(batches(2))))
    go(begin("fo-neggrad-plus", request(model, lr=lr)), model, 1)
    assert close(moved_by(model, start), expected)


def test_l1_sparse_adds_the_sign_of_each_weight() -> None:
    model, lr = network(), 0.1
    start = weights(model)
    slopes = gradient(model, (1.0, next(batches(2))))
    go(begin("l1-sparse", request(model, lr=lr)), model, 1)
    expected = [-lr * (slope + L1_STRENGTH * value.sign()) for slope, value in zip(slopes, start, strict=True)]
    assert close(moved_by(model, start), expected)


@pytest.mark.parametrize("name", ZEROTH_ORDER)
def test_zeroth_order_arms_build_no_graph(name: str) -> None:
    model, graphs = network(), []
    steps = begin(name, request(model))

    def watched(*batch: object) -> Tensor:
        loss = steps.objective(*batch)
        graphs.append(loss.requires_grad)
        return loss

    go(replace(steps, objective=watched), model, 2)
    assert graphs == [False] * 4  # two forward passes a step
    assert all((parameter.grad is None) is (name not in ON_ESTIMATE) for parameter in model.parameters())


# Wrong labels


@pytest.mark.parametrize("name", ["random-label", "salun"])
def test_wrong_labels_are_wrong_and_equally_likely_and_right_ones_stay(name: str) -> None:
    """Each of the 3 wrong ones a third of the time, for each true one: within 5 standard deviations of a binomial."""
    count, size = 500, 6
    model, seen = network(), torch.zeros(4, 4)
    truth = zip(batches(1), batches(2), strict=True)
    for batch in islice(begin(name, request(model)).batches, count):
        (inputs, targets), (retain_inputs, retain_targets) = next(truth)
        assert torch.equal(batch[0], torch.cat([inputs, retain_inputs]))
        assert torch.equal(batch[1][size:], retain_targets)
        seen.index_put_((targets, batch[1][:size]), torch.ones(size), accumulate=True)
    assert (seen.diagonal() == 0).all()
    totals = seen.sum(1, keepdim=True).expand(4, 4)
    deviation = (totals * (1 / 3) * (2 / 3)).sqrt()
    assert (((seen - totals / 3).abs() < 5 * deviation) | torch.eye(4, dtype=torch.bool)).all()


def test_with_two_classes_the_wrong_label_is_the_other() -> None:
    model = network()
    given = request(model, forget=batches(1, classes=2), classes=2)
    wrong = torch.cat([batch[1][:6] for batch in islice(begin("random-label", given).batches, 10)])
    right = torch.cat([targets for _, targets in islice(batches(1, classes=2), 10)])
    assert torch.equal(wrong, 1 - right)


def test_a_step_on_wrong_labels_is_a_step_of_sgd() -> None:
    model, lr = network(), 0.1
    start = weights(model)
    batch = next(begin("random-label", request(network(), lr=lr)).batches)
    expected = [-lr * slope for slope in gradient(model, (1.0, batch))]
    go(begin("random-label", request(model, lr=lr)), model, 1)
    assert close(moved_by(model, start), expected)


# SalUn


def test_salun_changes_the_half_with_the_largest_gradients_and_nothing_else() -> None:
    """Its mask is that of the forget set as one batch, by autograd; it comes in batches of unequal size.

    Weights outside stay to the bit over several steps; all of those inside move, for no gradient is zero here.
    """
    inputs, targets = next(batches(7, size=11))
    sizes = flat(gradient(network(), (1.0, (inputs, targets)))).abs()
    salient = torch.zeros(len(sizes), dtype=torch.bool)
    salient[sizes.argsort(descending=True)[: len(sizes) // 2]] = True
    assert len(sizes) % 2 == 0

    model = network()
    start = weights(model)
    pieces = list(zip(inputs.split(4), targets.split(4), strict=True))
    steps = begin("salun", request(model, forget_once=lambda: pieces))
    assert steps.spent == steps.backward == 3  # for each of three batches
    assert same(weights(model), start)
    assert all(parameter.grad is None or not parameter.grad.any() for parameter in model.parameters())
    go(steps, model, 4)
    assert torch.equal(flat(moved_by(model, start)) != 0, salient)


def test_a_step_of_salun_is_a_masked_step_on_wrong_labels() -> None:
    lr = 0.1
    batch = next(begin("random-label", request(network(), lr=lr)).batches)
    model = network()
    start, slopes = weights(model), gradient(model, (1.0, batch))
    go(begin("salun", request(model, lr=lr)), model, 1)
    moved = moved_by(model, start)
    selected = [value != 0 for value in moved]
    assert 0 < flat(selected).sum() < len(flat(selected))
    assert close(moved, [-lr * slope * mask for slope, mask in zip(slopes, selected, strict=True)])


def test_salun_selects_nothing_that_has_no_gradient() -> None:
    """A branch that is switched off: more than half of the weights have gradient 0, and none of them is selected."""
    model = network()
    model[3].weight.data[:, 1:] = 0  # seven of eight hidden units reach no class
    model[1].weight.data[1:] = 0
    start = weights(model)
    batch = next(batches(1))
    sizes = flat(gradient(model, (1.0, batch)))
    assert (sizes == 0).double().mean() > 0.5
    go(begin("salun", request(model, forget=repeat(batch), forget_once=lambda: [batch])), model, 3)
    assert not flat(moved_by(model, start))[sizes == 0].any()


# Whose weights they hold


@pytest.mark.parametrize("name", ARMS)
def test_the_optimizer_holds_the_parameters_of_the_model_it_is_given(name: str) -> None:
    model = build_model("cnn", ImageSpec(1, 8, 10), seed=0).eval()
    batch = torch.zeros(2, 1, 8, 8), torch.zeros(2, dtype=torch.int64)
    optimizer = begin(name, request(model, repeat(batch), repeat(batch), lambda: [batch], classes=10)).optimizer
    parameters = (parameter for group in optimizer.param_groups for parameter in group["params"])
    held = [parameter.data_ptr() for parameter in parameters if parameter.requires_grad]
    moving = tail_of(model, methods.get(name).tail_of("all"))
    least = 2 if name == "subspace" else 1  # dimensions: weights, but no biases
    assert held == [parameter.data_ptr() for parameter in moving if parameter.dim() >= least]


@pytest.mark.parametrize("name", ARMS)
def test_a_step_changes_every_tensor_it_says_and_no_other(name: str) -> None:
    """fo-ga-head the last layer, subspace the weights, salun half of everything, the others everything."""
    model = network()
    start = weights(model)
    steps = begin(name, request(model))
    go(steps, model, steps.cycle)
    moved = [bool(value.any()) for value in moved_by(model, start)]
    few = {"fo-ga-head": [False, False, True, True], "subspace": [True, False, True, False]}
    assert moved == few.get(name, [True] * 4)
    assert close(start, weights(network()))


# In a real erasure


def of_arm(erasure: Erasure, name: str, seed: int = 0, lr: float = 1e-3) -> Erasure:
    """The erasure by another arm, with another seed of its runs; the split stays."""
    case = erasure.case.model_copy(update={"method": name, "seed": seed})
    return replace(erasure, case=case, hyperparameters=Hyperparameters(lr, 1e-3, seed))


def erased(erasure: Erasure, steps: int = 4) -> list[Tensor]:
    model = erasure.fresh_model()
    erasure.erase(model, steps)
    return weights(model)


@pytest.mark.parametrize("name", ARMS)
def test_the_same_seed_gives_the_same_run_and_another_another(erasure_of: Of, name: str) -> None:
    erasure = erasure_of("class:3")
    first, again, other = (erased(of_arm(erasure, name, seed)) for seed in (0, 0, 1))
    assert same(first, again)
    assert not same(first, other)


@pytest.mark.parametrize("name", ARMS)
def test_the_original_is_never_changed(erasure_of: Of, name: str) -> None:
    """A run moves a copy with memory of its own; the originals are bit for bit what they were."""
    erasure = of_arm(erasure_of("class:3"), name)
    kept = (erasure.original, erasure.retrained_model)
    before = [value.clone() for model in kept for value in model.state_dict().values()]
    moved = erased(erasure)
    assert not same(moved, weights(erasure.original))
    erasure.follow(erasure.fresh_model(), lambda batches: islice(batches, 3), horizon=0)
    assert same([value for model in kept for value in model.state_dict().values()], before)
    assert all(parameter.requires_grad for model in kept for parameter in model.parameters())


def test_what_an_erasure_spends_is_its_steps_and_its_preparation(erasure_of: Of) -> None:
    """SalUn's gradient of the whole forget set is a forward and a backward pass of every batch of it."""
    erasure = erasure_of("class:3")
    passes = math.ceil(len(erasure.split.forget) / erasure.case.batch_size)
    assert of_arm(erasure, "salun").erase(erasure.fresh_model(), 2).forwards() == 3 * passes + 2 * 6
    assert of_arm(erasure, "random-label").erase(erasure.fresh_model(), 2).forwards() == 2 * 6
    assert of_arm(erasure, "zo-ga").erase(erasure.fresh_model(), 5).forwards() == 10


def test_a_backward_pass_counts_by_the_part_of_the_network_that_it_goes_through(erasure_of: Of) -> None:
    """Multiply-adds of a digit in the network's four layers, by hand; a zeroth-order step's second forward begins at
    the tail, but in the first step: its first one is made twice, in one piece and in segments, and nothing is kept. Of
    a forget and a retain batch that is the forget batch's.
    """
    layers = [64 * 16 * 9, 64 * 16 * 32 * 9, 16 * 32 * 64 * 9, 256 * 10]
    erasure = erasure_of("class:3")
    passes = math.ceil(len(erasure.split.forget) / erasure.case.batch_size)
    for tail, behind in (("layer", layers[3:]), ("block", layers[2:]), ("stage", layers[2:])):
        share = sum(behind) / sum(layers)

        def spent(name: str, steps: int, tail: str = tail) -> float:
            run = of_arm(erasure, name)
            run = replace(run, hyperparameters=replace(run.hyperparameters, tail=tail))
            return run.erase(run.fresh_model(), steps).forwards()

        assert spent("fo-ga", 5) == pytest.approx(5 * (1 + 2 * share))
        assert spent("fo-neggrad-plus", 5) == pytest.approx(5 * 2 * (1 + 2 * share))
        assert spent("salun", 2) == pytest.approx((passes + 2 * 2) * (1 + 2 * share))
        assert spent("fo-ga-head", 5) == 5
        assert spent("zo-ga", 5) == pytest.approx(3 + 4 * (1 + share))
        assert spent("zo-neggrad-plus", 5) == pytest.approx(4 + share + 4 * 2 * (1 + share))


class Watched:
    """What the requests of an arm's erasures yield, and what its steps are taken on."""

    def __init__(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.forget: list[Batch] = []
        self.retain: list[Batch] = []
        self.once: list[Batch] = []
        self.steps: list[tuple[Tensor, ...]] = []
        arm = methods.get(name)
        assert arm.start is not None

        def start(given: Request) -> Steps:
            taken = arm.start(
                replace(
                    given,
                    forget=self._noting(given.forget, self.forget),
                    retain=self._noting(given.retain, self.retain),
                    forget_once=lambda: self._noting(given.forget_once(), self.once),
                )
            )
            return replace(taken, batches=self._noting(taken.batches, self.steps))

        monkeypatch.setitem(methods._entries, name, replace(arm, start=start))

    @staticmethod
    def _noting(items: Iterable[tuple[Tensor, ...]], into: list[tuple[Tensor, ...]]) -> Iterator[tuple[Tensor, ...]]:
        for item in items:
            into.append(item)
            yield item


def samples(erasure: Erasure, found: Iterable[Batch]) -> list[int]:
    """Which training samples the images of these batches are: no two of the digits are equal."""
    known = {image.numpy().tobytes(): place for place, image in enumerate(erasure.data.train.images)}
    assert len(known) == len(erasure.data.train.labels)
    return [known[image.numpy().tobytes()] for inputs, _ in found for image in inputs]


@pytest.mark.parametrize("name", ARMS)
@pytest.mark.parametrize("scenario", ["class:3", "random:0.1"])
def test_no_sample_is_in_the_wrong_set(
    erasure_of: Of, scenario: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A forget batch never holds a retain sample and vice versa; `forget_once` is the forget set."""
    erasure, watched = of_arm(erasure_of(scenario), name), Watched(name, monkeypatch)
    erased(erasure, 50)
    forget, retain = erasure.split.forget.tolist(), erasure.split.retain.tolist()
    assert not set(forget) & set(retain)
    assert watched.forget or watched.retain
    assert set(samples(erasure, watched.forget)) <= set(forget)
    assert set(samples(erasure, watched.retain)) <= set(retain)
    assert sorted(samples(erasure, watched.once)) == (sorted(forget) if name in ("salun", "subspace") else [])
    for batches_of in (watched.forget, watched.retain):
        labels = torch.cat([targets for _, targets in batches_of]) if batches_of else torch.zeros(0)
        assert labels.tolist() == erasure.data.train.labels[samples(erasure, batches_of)].tolist()
    if name in FORGET_ALONE:
        assert set(samples(erasure, watched.forget)) == set(forget)  # 1,600 drawn of fewer than 150


def test_every_arm_of_a_seed_gets_the_same_batches(erasure_of: Of, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the same order; those of another seed come in another."""
    erasure = erasure_of("random:0.1")
    seen = {name: Watched(name, monkeypatch) for name in ARMS}
    for name in ARMS:
        erased(of_arm(erasure, name, seed=5), 6)
    forget, retain = samples(erasure, seen["fo-ga"].forget), samples(erasure, seen["finetune"].retain)
    assert len(forget) == len(retain) == 6 * 32
    for name in ARMS:
        drawn = forget[: 2 * 32] if name == "zo-ga-fast" else forget  # 4 steps on each
        assert samples(erasure, seen[name].forget) == ([] if name in RETAIN_ALONE else drawn)
        assert samples(erasure, seen[name].retain)[: 6 * 32] == ([] if name in FORGET_ALONE else retain)
    other = Watched("zo-ga", monkeypatch)
    erased(of_arm(erasure, "zo-ga", seed=6), 6)
    assert samples(erasure, other.forget) != forget


def test_the_followed_run_gets_the_batches_of_the_timed_one(erasure_of: Of, monkeypatch: pytest.MonkeyPatch) -> None:
    erasure, watched = of_arm(erasure_of("class:3"), "fo-ga"), Watched("fo-ga", monkeypatch)
    erased(erasure, 3)
    erasure.follow(erasure.fresh_model(), lambda batches: islice(batches, 3), horizon=0)
    seen = samples(erasure, watched.forget)
    assert len(seen) == 6 * 32
    assert seen[: 3 * 32] == seen[3 * 32 :]


def test_a_wrong_label_says_nothing_about_the_sample(erasure_of: Of, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over 900 seeds, shift and sample of the first draw: chi-square of a 9 by 9 table, 5 deviations of it at most."""
    erasure, watched = erasure_of("random:0.1"), Watched("random-label", monkeypatch)
    count = 900
    table = torch.zeros(9, 9)
    order = {sample: place for place, sample in enumerate(erasure.split.forget.tolist())}
    assert len(order) % 9 == 0
    starts = [of_arm(erasure, "random-label", seed)._start(erasure.original).batches for seed in range(count)]
    for batches_of in starts:
        next(batches_of)
    known = samples(erasure, [(inputs[:1], targets) for inputs, targets in watched.forget])
    for sample, (_, right), (_, labels) in zip(known, watched.forget, watched.steps, strict=True):
        shift = int(labels[0] - right[0]) % 10
        table[order[sample] % 9, shift - 1] += 1
    expected = count / 81
    statistic = ((table - expected).square() / expected).sum().item()
    assert abs(statistic - 80) < 5 * math.sqrt(2 * 80)


@pytest.mark.parametrize("train_mode", [False, True])
def test_the_plan_says_which_mode_the_model_is_in(erasure_of: Callable[[str], Erasure], train_mode: bool) -> None:
    """While it is followed, and while its cost is found."""
    erasure = of_arm(erasure_of("class:3"), "fo-ga")
    erasure = replace(erasure, plan=erasure.plan.model_copy(update={"train_mode": train_mode}))
    modes: list[bool] = []
    look = erasure.evaluate

    def watch(model: nn.Module) -> Evaluation:
        modes.append(model.training)
        return look(model)

    replace(erasure, follow_by=watch, watch_by=watch).follow(
        erasure.fresh_model(), lambda batches: islice(batches, 2), horizon=0
    )
    assert set(modes) == {train_mode}
    model = erasure.fresh_model()
    erasure.erase(model, 1)
    assert model.training is train_mode
