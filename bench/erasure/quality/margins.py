"""Margins: how sure a model is of each forgotten sample, which Retrain's on the same sample are held against.

The margin of a sample is log(p / (1 - p)), p being the probability that the model gives its label. Attack and data
attribution work with it since over models trained alike it is about normally distributed (Carlini et al. 2022,
"Membership Inference Attacks From First Principles", section 4); KLoM holds its distribution after unlearning against
that after retraining, sample by sample (Georgiev et al. 2024, "Attribute-to-Delete: Machine Unlearning via Datamodel
Matching", section 2).
"""

import torch
from torch import Tensor, nn

from bench.erasure.erasure import Erasure
from bench.erasure.quality.evaluation import eval_mode, evaluation_batch, outputs
from bench.record import Margins

MOST = 100  # samples, the first ones of the request
DIGITS = 3
FARTHEST = 100.0  # nats; beyond that a probability is 0 or 1 in float64, too


def margins(erasure: Erasure, model: nn.Module) -> tuple[Margins | None, str | None]:
    """Of the forgotten samples, in `model`, in the original and in Retrain; and why there are none."""
    if erasure.split.forgotten_class is not None:
        return None, "a class is forgotten, and no samples by name"
    found, original, retrained = erasure.beside_ends("margins", lambda one: _margins(erasure, one), model)
    return Margins(model=found, original=original, retrained=retrained), None


@torch.no_grad()
def _margins(erasure: Erasure, model: nn.Module) -> tuple[float, ...]:
    samples, places = erasure.data.train, erasure.split.forget[:MOST]
    batch_size = evaluation_batch(erasure.case.batch_size, samples.images.shape[1:])
    with eval_mode(model):
        found = torch.cat([margin(*answers) for answers in outputs(model, samples, places, batch_size)])
    return tuple(round(value, DIGITS) for value in found.tolist())


def margin(logits: Tensor, labels: Tensor) -> Tensor:
    """The logit of the label minus the log of the sum of the others' exponentials, in nats, within `FARTHEST`; where a
    logit is not finite, that far on the wrong side.

    Args:
        logits: (n, classes).
        labels: (n,) int64.

    Returns:
        (n,) float64.
    """
    exact = logits.double()
    own = exact.gather(1, labels[:, None])[:, 0]
    others = exact.scatter(1, labels[:, None], -torch.inf).logsumexp(1)
    apart = (own - others).clamp(-FARTHEST, FARTHEST)
    return apart.where(exact.isfinite().all(1), -FARTHEST)
