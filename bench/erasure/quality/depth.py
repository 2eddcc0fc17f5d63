"""How deep an erasure goes: what a linear probe still finds of the forgotten in the features of the network.

Accuracies, membership inference and ToW see outputs alone, and for good ones a change of the last layer is enough. What
the network knows is in the features that this layer is given. So a new last layer is fitted to them in closed form, on
a few training samples of every class (linear probes: Alain and Bengio 2016). Where a class is forgotten, it is among
them, and the probe is asked about unseen samples of it; of any other request the samples are not, and the probe is
asked about them: a network that learned them by heart has features in which they lie nearer to their class than unseen
ones do. The original's and Retrain's answers are the ends that an erasure lies between.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.base.seeds import generator
from bench.erasure.erasure import Erasure
from bench.erasure.quality.evaluation import eval_mode, evaluation_batch, outputs
from bench.record import Probe
from bench.workloads.images.samples import Samples
from bench.workloads.splits import some_of_each
from zo_core.ascent.tail import head

SHOTS = (5, 20, 100)  # samples a class
DRAWS = 10  # of samples, the same for every model of a seed; an accuracy is the mean over them
# Of the ridge, times the samples. Tried from 0.001 to 10 on photographs: at 20 and 100 shots it is within a point of
# the best; far below it, twenty shots, which are about as many samples as features, recover less than five.
STRENGTH = 1.0


class NoProbeError(ValueError):
    """There is nothing to probe; the message says why, for a note."""


def depth(erasure: Erasure, model: nn.Module) -> tuple[tuple[Probe, ...] | None, str | None]:
    """What is recovered of the forgotten from the unlearned `model`, beside the original and Retrain.

    Returns:
        A probe for each of `SHOTS` that every class has samples for, or None for none; and why one is missing.
    """
    labels = erasure.data.train.labels[_known(erasure)]
    fewest = int(labels.bincount(minlength=len(erasure.data.classes)).min())
    shots = [count for count in SHOTS if count <= fewest]
    lacking = ", ".join(str(count) for count in SHOTS if count > fewest)
    short = f"a class has {fewest} training samples, too few for {lacking} shots" if lacking else None
    if not shots:
        return None, short
    try:
        found, original, retrained = erasure.beside_ends("depth", lambda one: recovered(erasure, one, shots), model)
    except NoProbeError as error:
        return None, str(error)
    aims = [None for _ in shots] if retrained is None else retrained
    columns = zip(shots, found, original, aims, strict=True)
    return tuple(Probe(shots=count, model=now, original=was, retrained=aim) for count, now, was, aim in columns), short


def depth_at(erasure: Erasure, model: nn.Module, shots: int) -> float | None:
    """The accuracy in percent of the probe at so many samples a class; None where no class is forgotten, or there is
    nothing to probe.
    """
    if erasure.split.forgotten_class is None:
        return None
    try:
        return recovered(erasure, model, [shots])[0]
    except NoProbeError:
        return None


def recovered(erasure: Erasure, model: nn.Module, shots: Sequence[int]) -> list[float]:
    """Accuracy in percent, on the forgotten class's test data or on what else is forgotten, of probes fitted to so many
    samples of every class.

    The samples are drawn by the case's seed: the same ones for every model, and the fewer are among the more.

    Raises:
        NoProbeError: a forgotten class has no test data, a class has fewer training samples, or the model has no last
            layer or features that are not finite.
    """
    data, parts = erasure.data, erasure.split
    of_a_class = parts.forgotten_class is not None
    if of_a_class and not len(parts.unseen):
        raise NoProbeError("there are no test data of the class")
    samples, about = (data.test, parts.unseen) if of_a_class else (data.train, parts.forget)
    drawn = torch.stack(list(_draws(data.train.labels, _known(erasure), max(shots), erasure)))
    places, where = drawn.unique(return_inverse=True)  # where: (DRAWS, classes, shots)
    batch_size = evaluation_batch(erasure.case.batch_size, data.train.images.shape[1:])
    known = features(model, data.train, places, batch_size)
    asked, labels = features(model, samples, about, batch_size), samples.labels[about]
    return [sum(_recovered(known[draw[:, :count]], asked, labels) for draw in where) / DRAWS for count in shots]


def _known(erasure: Erasure) -> Tensor:
    """(n,) places of the training samples that a probe may be fitted to: with a forgotten class, without forgotten
    samples.
    """
    if erasure.split.forgotten_class is None:
        return erasure.split.retain
    return torch.arange(len(erasure.data.train))


@torch.no_grad()
def features(model: nn.Module, samples: Samples, places: Tensor, batch_size: int) -> Tensor:
    """What the last layer (`head`) is given of the samples at `places`, in eval mode: (n, d) float64 on the CPU.

    Of a convolutional layer, the mean over positions; else flattened.

    Raises:
        NoProbeError: there is no last layer, it takes no part in a forward pass, or a feature is not finite.
    """
    try:
        layer = head(model)
    except ValueError as error:
        raise NoProbeError(str(error)) from None
    found: list[Tensor] = []
    hook = layer.register_forward_pre_hook(lambda _, given: found.append(_flat(layer, given[0])))
    try:
        with eval_mode(model):
            for _ in outputs(model, samples, places, batch_size):
                pass
    finally:
        hook.remove()
    seen = torch.cat(found) if found else torch.zeros(0)
    if len(seen) != len(places):
        raise NoProbeError("the last layer is not given each sample once")
    if not seen.isfinite().all():
        raise NoProbeError("the features of the last layer are not finite")
    return seen


def ridge(inputs: Tensor, targets: Tensor, strength: float) -> tuple[Tensor, Tensor]:
    """Weights (d, k) and intercept (k,) with least |inputs W + b - targets|^2 + strength |W|^2, in closed form.

    Whichever system is smaller is solved: the primal's of d equations, or the dual's of n (Hoerl and Kennard 1970;
    Saunders et al. 1998).

    Args:
        inputs, targets: (n, d) and (n, k), float64.
        strength: positive.
    """
    means, mean_targets = inputs.mean(0), targets.mean(0)
    centred, wanted = inputs - means, targets - mean_targets
    n, d = inputs.shape
    if d <= n:
        weights = torch.linalg.solve(centred.T @ centred + strength * _identity(d), centred.T @ wanted)
    else:
        weights = centred.T @ torch.linalg.solve(centred @ centred.T + strength * _identity(n), wanted)
    return weights, mean_targets - means @ weights


def _recovered(known: Tensor, asked: Tensor, labels: Tensor) -> float:
    """Percentage of `asked`, (m, d), whose `labels`, (m,), a probe finds; `known`, (classes, shots, d), it has."""
    classes, shots, _ = known.shape
    inputs = known.flatten(0, 1)
    means, scales = inputs.mean(0), inputs.std(0, correction=0)
    scales[scales == 0] = 1  # a feature that is the same in all of them says nothing
    targets = F.one_hot(torch.arange(classes).repeat_interleave(shots)).double()
    weights, intercept = ridge((inputs - means) / scales, targets, STRENGTH * len(inputs))
    answers = ((asked - means) / scales @ weights + intercept).argmax(1)
    return 100 * (answers == labels).double().mean().item()


def _draws(labels: Tensor, among: Tensor, shots: int, erasure: Erasure) -> Iterator[Tensor]:
    """`DRAWS` times (classes, shots) int64: places of samples of each class; the fewer are the first of the more.

    Args:
        labels: of all training samples.
        among: those that may be drawn.
    """
    drawing, classes = generator(erasure.case.seed, "depth"), len(erasure.data.classes)
    for _ in range(DRAWS):
        of_each = some_of_each(labels, among, shots, classes, drawing)
        if min(map(len, of_each)) < shots:
            raise NoProbeError(f"a class has fewer than {shots} training samples")
        yield torch.stack(of_each)


def _flat(layer: nn.Module, given: Tensor) -> Tensor:
    """A batch of a layer's inputs as (n, d)."""
    flat = given.flatten(2).mean(2) if isinstance(layer, nn.Conv2d) else given.flatten(1)
    return flat.double().cpu()


def _identity(size: int) -> Tensor:
    return torch.eye(size, dtype=torch.float64)
