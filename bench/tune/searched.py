"""What a search found in the settings of a run, for its record: the points behind the ones that were chosen."""

from collections import defaultdict

from bench.profiles import Profile
from bench.record import Case, Searched
from bench.tune.choice import scored
from bench.tune.file import Plan, read_tuning
from bench.tune.search import Trial, tried_as, tunable

Point = tuple[str, float, float | None, int, str]  # arm, learning rate, eps, batch size, tail


def searched(given: str, profile: Profile) -> tuple[Searched, ...]:
    """The points that were tried for the profile's arms, in each of its settings; empty without a search.

    Args:
        given: the profile's name or FILE.toml; the search of its `tuned_by` counts instead.

    Raises:
        ValueError: the file of the search cannot be read.
    """
    source = profile.tuned_by or given
    found = read_tuning(source)
    if found is None:
        return ()
    arms, cases = tunable(profile), profile.unlearning_cases()
    points: defaultdict[tuple[str, Point], list[Trial]] = defaultdict(list)
    for trial in found.trials:
        alike = (case for case in cases if trial.method in arms and _is_of(trial, case, found.plans))
        for setting in dict.fromkeys(str(case.setting) for case in alike):
            points[setting, _point(trial)].append(trial)
    return tuple(_searched(setting, runs) for (setting, _), runs in points.items())


def _is_of(trial: Trial, case: Case, plans: list[Plan]) -> bool:
    """Whether it tried an erasure that is the case's but for seed, arm and, where that is the arm's own, batch size."""
    if trial.plan >= len(plans):  # a file of a version that did not say
        return False
    tried = (*plans[trial.plan], trial.scenario)
    same = tried == (case.model, case.dataset, case.image_size, case.dtype, tried_as(str(case.scenario)))
    return same and (case.batch_tuned or trial.batch_size == case.batch_size)


def _point(trial: Trial) -> Point:
    return trial.method, trial.lr, trial.eps, trial.batch_size, trial.tail


def _searched(setting: str, runs: list[Trial]) -> Searched:
    score = scored(runs)
    return Searched(
        setting=setting,
        method=score.method,
        lr=score.lr,
        eps=score.eps,
        batch_size=runs[0].batch_size,
        tail=score.tail,
        tow=score.tow,
        depth=score.depth,
        completed=score.completed,
        runs=score.runs,
        sample_forwards=score.sample_forwards / score.runs,
    )
