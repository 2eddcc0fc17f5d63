"""A learning rate for one request, from a short search that never looks at what is to be forgotten.

The search forgets something else instead, of what is to be kept: as many other samples, or another class, which the
model still knows. A rate that wrecks one model may spare another by luck, so each is tried on several, and evaluated as
often as the request will be: an erasure that goes wrong does so within a few steps, and a coarser look would tell of
what came after completion. What was tried, and what it took, is kept beside the profile as `python -m bench.tune` keeps
it.
"""

from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256

import torch

from bench.arms.table import methods
from bench.erasure.erasure import Erasure
from bench.instruments.energy import Meter
from bench.profiles import Profile, Tuned, TuningPlan
from bench.run.materials import Materials
from bench.tune.choice import choose
from bench.tune.file import plans_of
from bench.tune.search import Pilot, pilots
from bench.tune.trying import tried_before, try_arms
from bench.workloads.datasets import Library
from bench.workloads.images.samples import ImageData
from bench.workloads.models import models
from bench.workloads.requests import digest, samples
from bench.workloads.splits import Split, split

RATES = [1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0]
SEEDS = range(100, 110)
DRAWS = 3  # erasures that each rate is tried on
LEAST = 20  # samples: of fewer, the first that is lost ends an erasure, whatever else it did


def search_rate(profile: Profile, arm: str, materials: Materials, meter: Meter, path: str, command: str) -> Tuned:
    """The learning rate that the search finds for the one arm and scenario of `profile`, whose file is to be `path`.

    Raises:
        ValueError: no rate completes the pilot erasure, or there is nothing to try on.
    """
    case = profile.unlearning_cases()[0]
    data = materials.data_of(case)
    parts = split(data, str(case.scenario), case.seed)
    kept = replace(materials, library=_without(data, parts))
    torch.set_num_threads(profile.threads)
    erasures = _pilots(profile, kept, data, parts)
    cases = [erasure.case for erasure in erasures]
    pilot, tuning = _pilot_profile(profile, [str(one.scenario) for one in cases], [one.seed for one in cases])
    asked = digest(samples(data, parts.forget))
    identity = [pilot.model_dump_json(), data.fingerprint, asked, erasures[0].origins.model_dump_json()]
    identity += [models.source(case.model), methods.source(arm)]
    digests = sha256("\n".join(identity).encode()).hexdigest()
    found = tried_before(path, digests, plans_of(pilot), command, materials.progress.say)
    done = {cost.method for cost in found.costs}
    arms = [] if arm in done else [arm]
    own = [Pilot(0, erasure) for erasure in erasures]
    try_arms(arms, tuning, lambda _: own, materials.progress, meter, found, path, short=True)
    chosen = choose(found.scores).get((0, arm))
    if chosen is None:
        most = profile.unlearning[0].max_steps
        raise ValueError(
            f"no rate from {RATES[0]:g} to {RATES[-1]:g} completes in {most} steps; raise --max-steps, or give --lr"
        )
    return chosen.score.tuned


def _pilots(profile: Profile, materials: Materials, data: ImageData, parts: Split) -> list[Erasure]:
    """Up to `DRAWS` erasures of what the model has yet to forget; there is no Retrain of them."""
    drawn: list[Erasure] = []
    for scenario, seed in _others(data, parts, profile.unlearning[0].seeds[0]):
        pilot, tuning = _pilot_profile(profile, [scenario], [seed])
        [(_, erasure)] = pilots(pilot, tuning, replace(materials, profile=pilot), wanted={0})
        if erasure.untrained is not None:
            raise ValueError(erasure.untrained)
        drawn += [erasure] if erasure.started.forget_accuracy > erasure.target else []
        if len(drawn) == DRAWS:
            break
    if not drawn:
        raise ValueError(
            "there is nothing to try rates on: what is to be kept is no better known than the target; give --lr"
        )
    return drawn


def _pilot_profile(profile: Profile, scenarios: list[str], seeds: list[int]) -> tuple[Profile, TuningPlan]:
    """The profile of these pilot erasures, and where their rates are looked for."""
    tuning = TuningPlan(seeds=list(dict.fromkeys(seeds)), learning_rates=RATES)
    changes = {"scenarios": list(dict.fromkeys(scenarios)), "retrained": None, "retrain": False, "horizon": 0.0}
    plan = profile.unlearning[0].model_copy(update=changes)
    return profile.model_copy(update={"unlearning": [plan], "tuning": tuning}), tuning


def _others(data: ImageData, parts: Split, seed: int) -> Iterator[tuple[str, int]]:
    """Scenarios of what is to be kept, like the one that is asked for, with seeds that are not `seed`."""
    if len(data.train.labels[parts.retain].unique()) < 2:
        raise ValueError("there is nothing to try rates on: but one class is to be kept; give --lr")
    seeds = [other for other in SEEDS if other != seed]
    if parts.forgotten_class is None:
        number = min(max(LEAST, len(parts.forget)), len(parts.retain) // 2)
        yield from ((f"random:{number}", other) for other in seeds)
    else:
        before = range(parts.forgotten_class - 1, parts.forgotten_class - len(data.classes), -1)
        yield from ((f"class:{data.classes[label]}", other) for other in seeds[:DRAWS] for label in before)


def _without(data: ImageData, parts: Split) -> Library:
    """A library that knows the training data without what is to be forgotten, and nothing else."""
    kept = replace(data, train=data.train.at(parts.retain))
    return lambda name, size: kept
