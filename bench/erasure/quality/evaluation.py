"""What a model is worth: losses and accuracies on forget, retain and test data, and how near it is to Retrain."""

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.erasure.quality.membership import Confidences, loss_threshold_auc, membership_inference
from bench.record import Curve, Margins, Probe, Quality, Relearned
from bench.workloads.images.samples import ImageData, Samples
from bench.workloads.splits import Split, batches_once

LEAST_PIXELS, MOST_SAMPLES = 256 * 2**10, 512  # bytes of float32, and samples of tiny images, at once


@dataclass(frozen=True)
class Evaluation:
    """Mean cross-entropy in nats and accuracy in percent by subset, and the L2 distance of the parameters.

    Attributes:
        unseen_accuracy: on the test data of the forget set's kind; not a number if there are none.
        confidences: of every sample, for membership inference.
    """

    forget_loss: float
    retain_loss: float
    test_loss: float
    forget_accuracy: float
    retain_accuracy: float
    test_accuracy: float
    distance: float
    unseen_accuracy: float = field(compare=False)
    confidences: Confidences = field(compare=False, repr=False)

    @property
    def finite(self) -> bool:
        """Whether every loss is."""
        return all(map(math.isfinite, (self.forget_loss, self.retain_loss, self.test_loss)))


class Evaluator:
    """Looks at a model on one split of the data.

    Args:
        start: the parameters that distance is counted from; copied.
        step: samples that a step of the erasure takes; see `evaluation_batch`.
    """

    def __init__(self, data: ImageData, split: Split, start: nn.Module, step: int = 1) -> None:
        self.data = data
        self.split = split
        self._batch = evaluation_batch(step, data.train.images.shape[1:])
        self._start = [parameter.detach().clone() for parameter in start.parameters()]

    def on(self, split: Split) -> "Evaluator":
        """One that looks on another split of the same data, and counts distance from the same parameters."""
        other = copy.copy(self)
        other.split = split
        return other

    @torch.no_grad()
    def __call__(self, model: nn.Module) -> Evaluation:
        """Evaluate in eval mode; the model's own mode is left as it was."""
        parts = self.split
        forget, retain, test, unseen = parts.forget, parts.retain, parts.test, parts.unseen
        with eval_mode(model):
            losses, hits = self._at(model, self.data.train, torch.cat([forget, retain]))
            test_losses, test_hits = self._at(model, self.data.test, torch.cat([test, unseen]).unique())
        return Evaluation(
            forget_loss=losses[forget].mean().item(),
            retain_loss=losses[retain].mean().item(),
            test_loss=test_losses[test].mean().item(),
            forget_accuracy=100 * hits[forget].mean().item(),
            retain_accuracy=100 * hits[retain].mean().item(),
            test_accuracy=100 * test_hits[test].mean().item(),
            distance=self._distance(model),
            unseen_accuracy=100 * test_hits[unseen].mean().item(),
            confidences=Confidences(
                (-losses[forget]).exp(),
                (-losses[retain]).exp(),
                (-test_losses[test]).exp(),
                (-test_losses[unseen]).exp(),
            ),
        )

    def _at(self, model: nn.Module, samples: Samples, places: Tensor) -> tuple[Tensor, Tensor]:
        """Losses and hits at the places of the samples; not a number elsewhere."""
        losses = torch.full((len(samples),), math.nan)
        hits = losses.double()
        losses[places], hits[places] = per_sample(model, samples, places, self._batch)
        return losses, hits

    def _distance(self, model: nn.Module) -> float:
        moved = (now - then for now, then in zip(model.parameters(), self._start, strict=True))
        return math.sqrt(sum(difference.double().square().sum().item() for difference in moved))


def quality(
    at_completion: Evaluation,
    retrained: Evaluation | None,
    of_a_class: bool,
    depth: tuple[Probe, ...] | None = None,
    relearned: tuple[Relearned, ...] | None = None,
    margins: Margins | None = None,
) -> Quality:
    """What a model is worth, its tug-of-war score against Retrain included where there is one.

    Args:
        of_a_class: whether a class is forgotten, whose test data then count apart.
    """
    unseen = at_completion.unseen_accuracy
    return Quality(
        ua=100 - at_completion.forget_accuracy,
        ra=at_completion.retain_accuracy,
        ta=at_completion.test_accuracy,
        ta_forgotten=unseen if of_a_class and math.isfinite(unseen) else None,
        mia=membership_inference(at_completion.confidences),
        mia_auc=loss_threshold_auc(at_completion.confidences),
        tow=None if retrained is None else tug_of_war(at_completion, retrained),
        depth=depth,
        relearned=relearned,
        margins=margins,
    )


def tug_of_war(model: Evaluation, retrained: Evaluation) -> float:
    """ToW in [0, 1]: product over forget, retain and test of 1 - |accuracy gap to Retrain| (Zhao et al. 2024)."""
    gaps = (
        model.forget_accuracy - retrained.forget_accuracy,
        model.retain_accuracy - retrained.retain_accuracy,
        model.test_accuracy - retrained.test_accuracy,
    )
    return math.prod(1 - abs(gap) / 100 for gap in gaps)


def curve(steps: tuple[int, ...], evaluations: tuple[Evaluation, ...]) -> Curve:
    """The run as columns; what is not finite becomes None."""

    def column(name: str) -> list[float | None]:
        values = (getattr(evaluation, name) for evaluation in evaluations)
        return [value if math.isfinite(value) else None for value in values]

    return Curve(step=list(steps), **{name: column(name) for name in Curve.model_fields if name != "step"})


def evaluation_batch(step: int, image: torch.Size) -> int:
    """Samples to look at at once: as many as a step takes, since inference on them needs no more memory than the step
    does; or as 256 KiB of pixels are, if that is more.

    Args:
        step: samples a step.
        image: (C, H, W).
    """
    return max(step, min(MOST_SAMPLES, LEAST_PIXELS // (4 * image.numel())))


@contextmanager
def eval_mode(model: nn.Module) -> Iterator[None]:
    """The model in eval mode meanwhile; its own mode is left as it was."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


def outputs(model: nn.Module, samples: Samples, indices: Tensor, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Logits and labels of the samples at `indices`, batch by batch, on the CPU."""
    device = next(model.parameters()).device
    for images, targets in batches_once(samples.images, samples.labels, indices, batch_size):
        yield model(images.to(device)).cpu(), targets


def per_sample(model: nn.Module, samples: Samples, indices: Tensor, batch_size: int) -> tuple[Tensor, Tensor]:
    """Cross-entropy and correctness of the samples at `indices`, on the CPU: (n,) float32 and (n,) float64, 0 or 1.

    Logits that are not finite are wrong: their argmax would say nothing but the order of the classes.
    """
    losses, hits = [torch.zeros(0)], [torch.zeros(0, dtype=torch.float64)]
    for logits, targets in outputs(model, samples, indices, batch_size):
        losses.append(F.cross_entropy(logits, targets, reduction="none"))
        hits.append(((logits.argmax(1) == targets) & logits.isfinite().all(1)).double())
    return torch.cat(losses), torch.cat(hits)
