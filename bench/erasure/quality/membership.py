"""Membership inference: can an attacker tell from a model's confidence whether a sample was in its training data?

Two attackers: one learned on samples whose membership it knows, one that compares losses with a threshold.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

C = 3.0


@dataclass(frozen=True)
class Confidences:
    """The probability that a model gives to the true label, (N,) float32, of every sample by subset.

    Attributes:
        unseen: the test data of the forget set's kind: its class, or all of them.
    """

    forget: Tensor
    retain: Tensor
    test: Tensor
    unseen: Tensor


def membership_inference(confidences: Confidences) -> float:
    """Percentage of the forget set that the attacker calls non-members; Retrain's value is the target.

    The attacker is a support vector classifier (RBF kernel, gamma 1, C = 3) on the confidence alone. It learns from
    equally many retain (member) and test (non-member) samples: all of the smaller subset, and as many of the larger,
    drawn from a fixed seed (Jia et al. 2023, section 4; Fan et al. 2024, section 5).
    """
    from sklearn.svm import SVC  # half a second, which who only lists the cases need not wait for

    count = min(len(confidences.retain), len(confidences.test))
    members, others = _some(confidences.retain, count), _some(confidences.test, count)
    attacker = SVC(C=C, kernel="rbf", gamma=1.0)
    attacker.fit(torch.cat([members, others]).unsqueeze(1).numpy(), [1] * count + [0] * count)
    called_members = attacker.predict(confidences.forget.unsqueeze(1).numpy())
    return 100 * float((called_members == 0).mean())


def loss_threshold_auc(confidences: Confidences) -> float | None:
    """How well a threshold on the loss tells forget samples from unseen ones of their kind (Yeom et al. 2018).

    Returns:
        Area under the ROC curve in [0, 1], members being those of lower loss; 0.5 is chance, and below it the forget
        set stands out as forgotten. None if no sample of its kind is unseen, or a confidence is no number.
    """
    from sklearn.metrics import roc_auc_score  # as above

    values = torch.cat([confidences.forget, confidences.unseen])
    if not len(confidences.unseen) or not values.isfinite().all():
        return None
    members = [1] * len(confidences.forget) + [0] * len(confidences.unseen)
    return float(roc_auc_score(members, values.numpy()))


def _some(values: Tensor, count: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return values[torch.randperm(len(values), generator=generator)[:count]]
