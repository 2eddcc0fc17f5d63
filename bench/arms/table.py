"""The arms: ways to make a model forget, the controls that say what makes the difference, and the yardsticks."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain, repeat

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from bench.arms.activations import spectra
from bench.arms.arm import (
    BOTH,
    ENGINES,
    STEP,
    UNLEARNING,
    Batch,
    Hyperparameters,
    Method,
    Request,
    Step,
    Steps,
    arm,
    first_step,
    reusing,
)
from bench.arms.arm import methods as methods  # with the arms in it
from bench.arms.checkpointing import checkpointed
from bench.arms.optimizers import ClippedSGD, FusedSGD, MaskedSGD, MeZO, OnEstimate, SignSGD, fused
from bench.arms.subspace import SAMPLES, SubspaceProjection
from bench.base.seeds import generator
from bench.profiles import Profile, Tuned, UnlearningPlan
from bench.record import Engine, Kind
from zo_core import ZOSGD, cross_entropy, l1_sparse, microbatched, neggrad_plus
from zo_core.ascent.plan import BLOCKS, MOVABLE, RECIPES, STEPS_PER_BATCH

MICROBATCH = 1  # samples: the least memory there is
CLIP = 1.0  # bound on a gradient's norm, and on its projection on a direction
RETAIN_WEIGHT = 0.5  # forget and retain set count alike
L1_STRENGTH = 5e-4  # constant: a run has no fixed length over which it could decay
MOMENTUM = 0.9  # of zo-momentum, as ZO-Bench has it
SALIENT = 0.5  # share of the weights that SalUn changes: those above the median (Fan et al. 2024, section 4)

methods.register("forward")(Method("inference alone, the floor", 1, STEP, engines=ENGINES))
methods.register(MOVABLE)(Method("inference of a network whose weights may move", 1, STEP, engines=("onnxruntime",)))
methods.register("retrain")(Method("training from scratch without the forget set", 3, UNLEARNING))


def methods_for(kind: Kind) -> list[str]:
    """Names of the arms that take part in cases of this kind."""
    return [name for name in methods if kind in methods.get(name).kinds]


def check_method(name: str, kind: Kind, engine: Engine = "torch") -> None:
    """Raise ValueError unless an arm of that name takes part in cases of that kind on that engine."""
    choices = [method for method in methods_for(kind) if engine in methods.get(method).engines]
    if name not in choices:
        where = "" if engine == "torch" else f" on {engine}"
        raise ValueError(f"unknown method {name!r} for {kind} cases{where}; choose from: {', '.join(choices)}")


def tuned_as(name: str) -> str:
    """The arm whose hyperparameters the arm runs with: another's, or its own."""
    return methods.get(name).rate_of or name


def lend(profile: Profile) -> Profile:
    """The profile with what arms borrow put under their own names, too."""
    plans = [
        plan.model_copy(update={"hyperparameters": plan.hyperparameters | _borrowed(plan)})
        for plan in profile.unlearning
    ]
    return profile.model_copy(update={"unlearning": plans})


def _borrowed(plan: UnlearningPlan) -> dict[str, Tuned]:
    given = plan.hyperparameters
    lenders = {name: methods.get(name).rate_of for name in plan.methods}
    return {name: given[lender] for name, lender in lenders.items() if lender in given}


@arm("fo-ga", "first-order gradient ascent, by backpropagation", 3, BOTH)
def fo_ga(request: Request) -> Steps:
    """Ascent on the forget set (Graves et al. 2021; Thudi et al. 2022)."""
    return Steps(_ascent(request), request.forget)


@arm("fo-ga-checkpoint", "first-order, activations recomputed block by block", 4, STEP)
def fo_ga_checkpoint(request: Request) -> Steps:
    """The same step in less memory and more time."""
    return Steps(_ascent(request), request.forget, checkpointed(cross_entropy))


@arm("fo-ga-accumulate", "first-order, one sample at a time", 3, STEP, microbatch=MICROBATCH)
def fo_ga_accumulate(request: Request) -> Steps:
    """The same step, its gradient summed sample by sample."""
    return Steps(_ascent(request), request.forget, microbatched(cross_entropy, MICROBATCH))


@arm("fo-ga-head", "first-order on the last layer alone", 1, BOTH, tails=("layer",), engines=ENGINES)
def fo_ga_head(request: Request) -> Steps:
    """Does the whole network need to move? The classifier's last layer, with its true gradient."""
    return Steps(_ascent(request), request.forget)


@arm("fo-ga-tail", "first-order on the last stage or less, layer by layer", 3, BOTH, tails=("stage", "block", "layer"))
def fo_ga_tail(request: Request) -> Steps:
    """The cheapest that backpropagation gets: no graph before the tail, a gradient is gone before the next comes."""
    optimizer = FusedSGD(request.model.parameters(), request.hyperparameters.lr, maximize=True)
    return Steps(optimizer, request.forget)


@arm("fo-ga-clipped", f"first-order, the gradient's norm clipped at {CLIP:g}", 3)
def fo_ga_clipped(request: Request) -> Steps:
    """Is it the size of the last steps that wrecks the model?"""
    parameters, lr = request.model.parameters(), request.hyperparameters.lr
    return Steps(ClippedSGD(parameters, lr, max_norm=CLIP, maximize=True), request.forget)


@arm("fo-ga-matched", "first-order, steps as long as zo-ga's", 3, rate_of="zo-ga")
def fo_ga_matched(request: Request) -> Steps:
    """Is it the length of the steps, or their direction?

    A step of zo-ga is lr (gradient . z) z. Its mean square length is lr^2 |gradient|^2 d for d trainable parameters
    (E z z^T = I and |z|^2 = d): that of a first-order step at sqrt(d) times the learning rate.
    """
    dimensions = sum(parameter.numel() for parameter in request.model.parameters() if parameter.requires_grad)
    lr = request.hyperparameters.lr * dimensions**0.5
    return Steps(_ascent(request, lr), request.forget)


@arm("fo-neggrad-plus", "first-order, up on the forget and down on the retain set", 6)
def fo_neggrad_plus(request: Request) -> Steps:
    """NegGrad+ (Kurmanji et al. 2023): the forget loss up, the retain loss down."""
    return Steps(_ascent(request), _pairs(request), neggrad_plus(RETAIN_WEIGHT))


@arm("zo-ga", "zeroth-order gradient ascent, two forward passes", 2, BOTH, zeroth_order=True, engines=ENGINES)
def zo_ga(request: Request) -> Steps:
    """Ascent on the forget set without backpropagation (Zhang et al. 2025)."""
    return Steps(_zeroth_order(request), request.forget)


@arm("zo-ga-clipped", f"zeroth-order, the projected gradient clipped at {CLIP:g}", 2, zeroth_order=True)
def zo_ga_clipped(request: Request) -> Steps:
    """The counterpart of fo-ga-clipped: the one number that a zeroth-order step sees is bounded."""
    return Steps(_zeroth_order(request, partial(ZOSGD, clip=CLIP)), request.forget)


@arm("zo-neggrad-plus", "zeroth-order, up on the forget and down on the retain set", 4, zeroth_order=True)
def zo_neggrad_plus(request: Request) -> Steps:
    """NegGrad+ without backpropagation."""
    return Steps(_zeroth_order(request), _pairs(request), neggrad_plus(RETAIN_WEIGHT))


@arm("zo-ga-microbatch", "zeroth-order, one sample at a time", 2, STEP, microbatch=MICROBATCH, zeroth_order=True)
def zo_ga_microbatch(request: Request) -> Steps:
    """The same step in the memory of one sample."""
    return Steps(_zeroth_order(request), request.forget, microbatched(cross_entropy, MICROBATCH))


@arm("zo-ga-gaussian", "zeroth-order, Gaussians drawn in every pass", 2, STEP, zeroth_order=True)
def zo_ga_gaussian(request: Request) -> Steps:
    """What the noise pool saves."""
    return Steps(_zeroth_order(request, partial(ZOSGD, noise="gaussian")), request.forget)


@arm(
    "zo-ga-blocks",
    f"zeroth-order, a random {BLOCKS}th of the parameters a step",
    2,
    BOTH,
    zeroth_order=True,
    engines=ENGINES,
)
def zo_ga_blocks(request: Request) -> Steps:
    """A step that costs its forward passes: the passes over the parameters are of a block (MeZO-BCD, LeZO)."""
    return Steps(_zeroth_order(request, partial(ZOSGD, **RECIPES["zo-ga-blocks"])), request.forget, cycle=BLOCKS)


@arm(
    "zo-ga-prefix", f"zeroth-order, a random {BLOCKS}th, what lies before it computed once", 2, BOTH, zeroth_order=True
)
def zo_ga_prefix(request: Request) -> Steps:
    """The same steps, to the bit, and less than their forward passes."""
    steps = Steps(_zeroth_order(request, partial(ZOSGD, **RECIPES["zo-ga-blocks"])), request.forget, cycle=BLOCKS)
    return reusing(request.model, steps)


@arm(
    "zo-ga-normalized",
    "zeroth-order, steps in units of their own root mean square",
    2,
    BOTH,
    zeroth_order=True,
    engines=ENGINES,
)
def zo_ga_normalized(request: Request) -> Steps:
    """Is it the size of the steps? It no longer follows the gradient's (MEAZO, Dbouk et al. 2026; FZOO, Dang et al.
    2026), which is smallest where an erasure begins.
    """
    return Steps(_zeroth_order(request, partial(ZOSGD, **RECIPES["zo-ga-normalized"])), request.forget)


@arm(
    "zo-ga-fast",
    f"zeroth-order, normalized, {STEPS_PER_BATCH} steps a batch with one {BLOCKS}th",
    2,
    zeroth_order=True,
    engines=ENGINES,
)
def zo_ga_fast(request: Request) -> Steps:
    """The least that a zeroth-order erasure takes: zo-ga-normalized by blocks, what lies before a block computed once
    for all steps that a batch gets (DeepZero, Chen et al. 2024).
    """
    optimizer = partial(ZOSGD, **RECIPES["zo-ga-fast"])
    held = (batch for batch in request.forget for _ in range(STEPS_PER_BATCH))
    cycle = BLOCKS * STEPS_PER_BATCH
    return reusing(request.model, Steps(_zeroth_order(request, optimizer), held, cycle=cycle))


@arm("zo-mezo", "zeroth-order, the loop of MeZO as published", 2, STEP, zeroth_order=True)
def zo_mezo(request: Request) -> Steps:
    """What the loop in place saves."""
    return Steps(_zeroth_order(request, MeZO), request.forget)


@arm("zo-sign", "zeroth-order, the signs of the estimate", 2, BOTH, zeroth_order=True)
def zo_sign(request: Request) -> Steps:
    """signSGD on the zeroth-order estimate, as in ZO-Bench (Zhang et al. 2024): every weight moves by lr."""
    return Steps(_on_estimate(request, SignSGD), request.forget)


@arm("zo-momentum", "zeroth-order, SGD with momentum on the estimate", 2, BOTH, zeroth_order=True)
def zo_momentum(request: Request) -> Steps:
    """Momentum on the zeroth-order estimate, as in ZO-Bench."""
    return Steps(_on_estimate(request, partial(torch.optim.SGD, momentum=MOMENTUM)), request.forget)


@arm("zo-adam", "zeroth-order, Adam on the estimate", 2, BOTH, zeroth_order=True)
def zo_adam(request: Request) -> Steps:
    """Adam on the zeroth-order estimate, as in ZO-Bench."""
    return Steps(_on_estimate(request, torch.optim.Adam), request.forget)


@arm("finetune", "training on the retain set alone goes on", 3)
def finetune(request: Request) -> Steps:
    """Forgetting by the way (Golatkar et al. 2020; Warnecke et al. 2023)."""
    return Steps(_descent(request), request.retain)


@arm("l1-sparse", "training on the retain set goes on, towards few weights", 3)
def l1_sparse_finetune(request: Request) -> Steps:
    """Fine-tuning with an L1 penalty (Jia et al. 2023)."""
    return Steps(_descent(request), request.retain, l1_sparse(L1_STRENGTH))


@arm("random-label", "training with wrong labels on the forget, right ones on the retain set", 6)
def random_label(request: Request) -> Steps:
    """Wrong labels, drawn anew in every step (Golatkar et al. 2020; Graves et al. 2021)."""
    return Steps(_descent(request), _relabelled(request))


@arm("salun", f"random-label on the {SALIENT:.0%} of the weights that the forget loss moves most", 6)
def salun(request: Request) -> Steps:
    """Saliency unlearning (Fan et al. 2024): a weight is changed if |gradient of the forget loss| is in the upper half.

    The gradient is that of the original model over the whole forget set; finding it counts as spent.
    """
    passes = 0
    for batch in request.forget_once():
        cross_entropy(request.model, *batch).mul(len(batch[1])).backward()
        passes += 1
    moving = [parameter for parameter in request.model.parameters() if parameter.requires_grad]
    masks = _largest(moving, SALIENT)
    request.model.zero_grad()
    optimizer = MaskedSGD(moving, request.hyperparameters.lr, masks=masks)
    return Steps(optimizer, _relabelled(request), spent=passes, backward=passes)


@arm("subspace", "forward passes alone: what the forget set's activations alone use leaves the weights", 1)
def subspace(request: Request) -> Steps:
    """Deep Unlearning (Kodge et al. 2024). A step is the next strength alpha_f; the learning rate is 1 / alpha_r.

    The forward passes that see the activations count as spent. The singular value decompositions of every layer do
    not: they are no passes over the network, but they show in its time and energy.
    """
    draws = generator(request.hyperparameters.seed, "positions")
    forget, passes = spectra(request.model, _first(request.forget_once(), SAMPLES), draws)
    retain, more = spectra(request.model, _first(request.retain, SAMPLES), draws)
    optimizer = SubspaceProjection(forget, retain, sharing=request.hyperparameters.lr)
    return Steps(optimizer, request.forget, spent=passes + more)


def prepare_step(
    name: str, model: nn.Module, batch: Batch, hyperparameters: Hyperparameters, classes: int = 10
) -> Step:
    """A step of the arm on a batch that is all there is, to forget and to keep."""
    request = Request(model, repeat(batch), repeat(batch), lambda: [batch], classes, hyperparameters)
    return first_step(methods.get(name), request)


def _ascent(request: Request, lr: float | None = None) -> Optimizer:
    rate = request.hyperparameters.lr if lr is None else lr
    return _moving(request, torch.optim.SGD, rate, maximize=True)


def _descent(request: Request) -> Optimizer:
    return _moving(request, torch.optim.SGD, request.hyperparameters.lr)


def _zeroth_order(request: Request, optimizer: Callable[..., Optimizer] = ZOSGD) -> Optimizer:
    given = request.hyperparameters
    return optimizer(request.model.parameters(), given.lr, eps=given.eps, maximize=True, seed=given.seed)


def _on_estimate(request: Request, inner: Callable[..., Optimizer]) -> Optimizer:
    estimator = _zeroth_order(request)
    assert isinstance(estimator, ZOSGD)
    return OnEstimate(estimator, _moving(request, inner, request.hyperparameters.lr, maximize=True))


def _moving(request: Request, optimizer: Callable[..., Optimizer], lr: float, **options: bool) -> Optimizer:
    """One of torch's optimizers, of the model's parameters."""
    parameters = list(request.model.parameters())
    return optimizer(parameters, lr=lr, fused=fused(parameters), **options)


def _first(batches: Iterable[Batch], samples: int) -> Iterator[Batch]:
    """As many batches as hold so many samples, or all there are."""
    seen = 0
    for batch in batches:
        yield batch
        seen += len(batch[1])
        if seen >= samples:
            return


def _pairs(request: Request) -> Iterator[tuple[Tensor, ...]]:
    """A forget batch and a retain batch: (inputs, targets, retain inputs, retain targets)."""
    return (tuple(chain(*both)) for both in zip(request.forget, request.retain, strict=False))


def _relabelled(request: Request) -> Iterator[Batch]:
    """A forget batch with wrong labels, then a retain batch, as one: (2N, C, H, W) and (2N,)."""
    draws = generator(request.hyperparameters.seed, "wrong labels")
    for inputs, targets, retain_inputs, retain_targets in _pairs(request):
        shifts = torch.randint(1, request.classes, targets.shape, generator=draws).to(targets.device)
        wrong = (targets + shifts) % request.classes
        yield torch.cat([inputs, retain_inputs]), torch.cat([wrong, retain_targets])


def _largest(parameters: list[nn.Parameter], share: float) -> list[Tensor]:
    """Masks that select the share of the parameters whose gradients are largest in absolute value, over all of them."""
    sizes = [torch.zeros_like(p) if p.grad is None else p.grad.abs() for p in parameters]
    everything = torch.cat([size.flatten() for size in sizes])
    threshold = everything.kthvalue(max(1, round((1 - share) * len(everything)))).values
    return [size > threshold for size in sizes]
