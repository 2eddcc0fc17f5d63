"""Relearning: how fast a model that forgot comes to know the forgotten again, from how little of it.

What is only hidden comes back at once (relearn time: Tarun et al. 2023, "Fast yet effective machine unlearning",
section 5); and learning some of what was forgotten brings back the rest, if that is still in the weights (Deeb and
Roger 2024, "Do Unlearning Methods Remove Information from Language Model Weights?"). So the model is fine-tuned on a
few samples, by plain SGD, and asked about others: where a class was forgotten, on samples of every class and about
unseen ones of that class; of any other request on some of the samples and about the rest.
"""

import copy
from itertools import pairwise

import torch
from torch import Tensor, nn

from bench.base.seeds import generator
from bench.erasure.erasure import Erasure
from bench.erasure.quality.evaluation import evaluation_batch, per_sample
from bench.record import RELEARNING_STEPS as STEPS
from bench.record import Relearned
from bench.workloads.splits import endless_batches, some_of_each
from zo_core import unlearn

SHOTS = (5, 20, 100)  # samples of every class, or of those forgotten
BATCH = 32  # samples a step, fewer where there are fewer
MOST_ASKED = 500
RATE = 0.1  # share of the training's learning rate


def relearned(erasure: Erasure, model: nn.Module) -> tuple[tuple[Relearned, ...] | None, str | None]:
    """The accuracy along the way, from each of `SHOTS` that there are samples for, beside the original's and Retrain's.

    Args:
        model: is left as it is.

    Returns:
        None for none; and why some are missing.
    """
    if erasure.plan.training is None:
        return None, "without [unlearning.training] there is no learning rate to relearn with"
    if erasure.split.forgotten_class is not None and not len(erasure.split.unseen):
        return None, "there are no test data of the class"
    most = _most_shots(erasure)
    lacking = ", ".join(str(count) for count in SHOTS if count > most)
    reasons = [f"there are samples for {most} shots, too few for {lacking}"] if lacking else []
    found = []
    for shots in [count for count in SHOTS if count <= most]:
        try:
            found.append(_from(erasure, model, shots))
        except FloatingPointError as error:
            reasons.append(str(error))
    return tuple(found) or None, "; ".join(reasons) or None


def _from(erasure: Erasure, model: nn.Module, shots: int) -> Relearned:
    """From so many samples, beside both ends; raises FloatingPointError where fine-tuning diverges."""
    found, original, retrained = erasure.beside_ends(
        f"relearned from {shots}", lambda start: _accuracies(erasure, start, shots), model
    )
    return Relearned(shots=shots, step=STEPS, model=found, original=original, retrained=retrained)


def _most_shots(erasure: Erasure) -> int:
    """How many samples of each class there are, or half of those forgotten, since the other half is asked about."""
    if erasure.split.forgotten_class is None:
        return len(erasure.split.forget) // 2
    return int(erasure.data.train.labels.bincount(minlength=len(erasure.data.classes)).min())


def _accuracies(erasure: Erasure, start: nn.Module, shots: int) -> tuple[float, ...]:
    """In percent, after each of `STEPS`; raises FloatingPointError where a loss is not finite."""
    case, data, training = erasure.case, erasure.data, erasure.plan.training
    assert training is not None, "else there is nothing to relearn by"
    taught, asked = _samples(erasure, shots)
    model = copy.deepcopy(start).requires_grad_().eval()
    samples = data.train if erasure.split.forgotten_class is None else data.test
    batch_size = evaluation_batch(case.batch_size, data.train.images.shape[1:])
    images, labels = data.train.images, data.train.labels
    order = generator(case.seed, "relearning")
    batches = endless_batches(images, labels, taught, min(BATCH, len(taught)), order, case.device)
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE * training.lr)

    @torch.no_grad()
    def accuracy() -> float:
        _, hits = per_sample(model, samples, asked, batch_size)
        return 100 * hits.mean().item()

    found = [accuracy()]
    for before, after in pairwise(STEPS):
        trained = unlearn(
            model,
            optimizer,
            batches,
            evaluate=lambda: None,
            completed=lambda _: False,
            max_steps=after - before,
            evaluate_at=(),
        )
        if trained.diverged is not None:
            raise FloatingPointError(f"fine-tuning on {shots} shots diverged before step {after}")
        found.append(accuracy())
    return tuple(found)


def _samples(erasure: Erasure, shots: int) -> tuple[Tensor, Tensor]:
    """Places of the samples that are taught, and of those that are asked about; drawn by the case's seed."""
    parts, labels, drawing = erasure.split, erasure.data.train.labels, generator(erasure.case.seed, "relearned")
    if parts.forgotten_class is None:
        order = parts.forget[torch.randperm(len(parts.forget), generator=drawing)]
        return order[:shots], order[len(order) // 2 :][:MOST_ASKED]
    taught = some_of_each(labels, torch.arange(len(labels)), shots, len(erasure.data.classes), drawing)
    return torch.cat(taught), parts.unseen[:MOST_ASKED]
