"""The verdicts: the rule by hand, the intervals against scipy, and everything again from results.csv alone."""

import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from scipy import stats

from bench.record import Probe, Record, Rules, StepBar
from reports.data.load import load
from reports.data.part import parts
from reports.data.verdicts.bars import bar_tests
from reports.data.verdicts.claims import Claim, claims
from reports.data.verdicts.interval import t_interval
from reports.data.verdicts.statistic import STABILITY
from reports.page.summary import findings
from reports.page.write import write_report
from reports.tables.steps import bar_table
from tests.reports.conftest import PartOf, Write, changed, shown, stable, unlearning_record

MEMORY = "Much less memory: zo-ga peaks below 0.5 of fo-ga"
QUALITY = (
    "Competitive unlearning: at completion, the ToW of zo-ga is less than 0.05 below that of fo-ga, and a probe of its "
    "features less than 3 points farther from Retrain's"
)


def run(method: str, seed: int, *, mib: int = 2, tow: float = 0.9, probe: float = 60, **stability: float) -> Record:
    """Retrain's probe finds 50 %."""
    record = unlearning_record(method, seed)
    depth = (Probe(shots=20, model=probe, original=80.0, retrained=50.0),)
    memory = record.memory.model_copy(update={"tensor_peak_bytes": mib * 2**20})
    quality = record.quality.model_copy(update={"tow": tow, "depth": depth})  # type: ignore[union-attr]
    figures = {
        "collapse": 1.0,
        "collapsed": True,
        "loss_slope": 1.0,
        "drop_at_distance": 5.0,
        "drop_at_forget_loss": 5.0,
    }
    return stable(record.model_copy(update={"memory": memory, "quality": quality}), **(figures | stability))


def found(part_of: PartOf, records: list[Record]) -> dict[str, Claim]:
    return {claim.statement: claim for claim in part_of(records).claims}


def both(seeds: int, first: Callable[[int], dict], zeroth: Callable[[int], dict]) -> list[Record]:
    return [run("fo-ga", s, **first(s)) for s in range(seeds)] + [run("zo-ga", s, **zeroth(s)) for s in range(seeds)]


def nothing(_: int) -> dict:
    return {}


def test_an_interval_is_scipys() -> None:
    values = pd.Series([0.3, 1.2, 0.7, math.nan, 2.0])
    known = values.dropna()
    low, high = stats.t.interval(0.95, 3, loc=known.mean(), scale=stats.sem(known))
    interval = t_interval(values)
    assert (interval.mean, interval.low, interval.high, interval.n) == pytest.approx((1.05, low, high, 4))


@pytest.mark.parametrize(
    ("mib", "verdict"), [(3, "supported"), (4, "not shown"), (5, "not supported")], ids=["below", "on it", "above"]
)
def test_much_less_memory_is_below_the_stated_share(part_of: PartOf, mib: int, verdict: str) -> None:
    """Of fo-ga's 8 MiB, with half as the rule; what lies on the bound shows nothing."""
    records = both(3, lambda _: {"mib": 8}, lambda _: {"mib": mib})
    assert found(part_of, records)[MEMORY].verdict == verdict


@pytest.mark.parametrize(
    ("gaps", "verdict"),
    [
        ((-0.01, 0.0, 0.01), "supported"),  # 0 +- 0.025: above -0.05
        ((-0.2, -0.21, -0.19), "not supported"),  # -0.2 +- 0.025: below -0.05
        ((-0.2, 0.0, 0.2), "not shown"),  # 0 +- 0.5
    ],
)
def test_competitive_is_within_the_margin(part_of: PartOf, gaps: tuple[float, ...], verdict: str) -> None:
    """Seed by seed: what the seeds have in common does not widen the interval."""
    records = both(3, lambda s: {"tow": 0.3 + 0.2 * s}, lambda s: {"tow": 0.3 + 0.2 * s + gaps[s]})
    claim = found(part_of, records)[QUALITY]
    assert claim.verdict == verdict
    test, in_features = claim.tests
    assert in_features.verdict == "supported"
    half = 4.302652729911275 * pd.Series(gaps).std() / math.sqrt(3)
    assert test.interval.high - test.interval.mean == pytest.approx(half)


@pytest.mark.parametrize(
    ("probes", "verdict"),
    [
        ((61.0, 62.0, 61.0), "supported"),  # 1.3 points farther than 60, of Retrain's 50: less than 3
        ((49.0, 48.0, 47.0), "supported"),  # on the other side, 2 points away: nearer
        ((70.0, 71.0, 70.0), "not supported"),
        ((30.0, 29.0, 29.0), "not supported"),  # lower than Retrain's is as far
        ((60.0, 65.0, 70.0), "not shown"),
    ],
)
def test_competitive_is_so_in_features_too(part_of: PartOf, probes: tuple[float, ...], verdict: str) -> None:
    """By the distance of what a probe finds from what it finds in Retrain's, either way."""
    claim = found(part_of, both(3, nothing, lambda seed: {"probe": probes[seed]}))[QUALITY]
    assert [test.verdict for test in claim.tests] == ["supported", verdict]
    assert claim.verdict == verdict


def test_clipped_arms_that_collapse_count_as_such(part_of: PartOf) -> None:
    """A test of their own, which speaks against the claim where zo-ga-clipped collapses sooner; none without both."""
    clipped = [run("fo-ga-clipped", seed, collapse=5.0 + seed / 100) for seed in range(3)]
    clipped += [run("zo-ga-clipped", seed, collapse=0.1) for seed in range(3)]
    *_, test = found(part_of, both(3, nothing, nothing) + clipped)[STABILITY].tests
    assert test.statistic.name == "time to collapse in T*, zo-ga-clipped minus fo-ga-clipped"
    assert (test.verdict, test.interval.mean) == ("not supported", pytest.approx(-4.91))
    assert len(found(part_of, both(3, nothing, nothing) + clipped[:3])[STABILITY].tests) == 5


def test_on_an_engine_it_is_held_against_first_order_on_torch(part_of: PartOf) -> None:
    """Its process against that of fo-ga on torch, 1 MiB against 8; ToW likewise; no ratio of live tensors."""
    first = [changed(record, "memory.process_peak_bytes", 8 * 2**20) for record in both(3, nothing, nothing)[:3]]
    ours = [changed(run("zo-ga", seed, tow=0.7), "case.engine", "onnxruntime") for seed in range(3)]
    ours = [changed(record, "memory.process_peak_bytes", 2**20) for record in ours]
    ours = [changed(record, "memory.tensor_peak_bytes", None) for record in ours]
    claims = found(part_of, first + ours)
    (memory,) = claims[MEMORY].tests
    assert (memory.engine, memory.interval.mean, memory.verdict) == ("onnxruntime", 1 / 8, "supported")
    assert claims[QUALITY].tests[0].interval.mean == pytest.approx(-0.2)
    with_torch = found(part_of, both(3, nothing, nothing) + ours)[MEMORY].tests
    assert [test.engine for test in with_torch] == ["torch", "onnxruntime"]


def test_a_run_is_not_judged_by_a_test_that_came_after_it(part_of: PartOf) -> None:
    """Whose rule it does not know: no test of features, nor of clipped arms."""
    clipped = [run(f"{order}-ga-clipped", seed) for order in ("fo", "zo") for seed in range(3)]
    part = part_of(both(3, nothing, nothing) + clipped)
    now, before = (
        claims(part.arms, part.rules),
        claims(part.arms, Rules.model_validate(part.rules.model_dump(exclude={"depth_margin"}))),
    )
    assert [len(claim.tests) for claim in now] == [1, 2, 6]
    assert [len(claim.tests) for claim in before] == [1, 1, 5]


def test_so_many_seeds_would_tell(part_of: PartOf) -> None:
    """ToW apart by 0.04 a standard deviation: t sd / sqrt(n) is above 0.05 for four seeds, and not for five."""
    deviation = 0.04
    gaps = [deviation * value for value in (-1.0, 0.0, 1.0)]
    claim = found(part_of, both(3, nothing, lambda seed: {"tow": 0.8 + gaps[seed]}))[QUALITY]
    halves = {n: stats.t.ppf(0.975, n - 1) * deviation / math.sqrt(n) for n in (4, 5)}
    assert halves[5] <= 0.05 < halves[4]
    assert claim.tests[0].seeds_needed == 5
    assert math.isnan(found(part_of, both(3, nothing, nothing))[MEMORY].tests[0].seeds_needed)
    assert t_interval(pd.Series([0.0, 100.0, -100.0])).seeds_for(0.05) == math.inf
    assert math.isnan(t_interval(pd.Series([0.0, 1.0])).seeds_for(0.05))


def test_two_seeds_give_no_verdict(part_of: PartOf) -> None:
    claim = found(part_of, both(2, lambda _: {"mib": 8}, lambda _: {"mib": 1}))[MEMORY]
    assert (claim.verdict, claim.tests[0].interval.n) == ("not shown", 2)


def test_a_claim_holds_only_where_every_test_supports_it(part_of: PartOf) -> None:
    """Longer until collapse, a gentler slope and less lost at matched displacement, but not at matched forget loss."""
    better = {"collapse": 2.0, "loss_slope": 0.5, "drop_at_distance": 1.0}
    matched = [run("fo-ga-matched", seed) for seed in range(3)]
    all_better = both(3, nothing, lambda _: better | {"drop_at_forget_loss": 1.0})
    supported = found(part_of, all_better + matched)[STABILITY]
    assert supported.verdict == "supported"
    assert len(supported.tests) == 5
    mixed = found(part_of, both(3, nothing, lambda _: better | {"drop_at_forget_loss": 9.0}) + matched)[STABILITY]
    assert mixed.verdict == "not supported"
    assert [test.verdict for test in mixed.tests] == ["supported"] * 3 + ["not supported", "supported"]
    scattered = both(3, nothing, lambda s: better | {"drop_at_forget_loss": 2.0 + 3 * s})
    unknown = found(part_of, scattered + matched)[STABILITY]
    assert unknown.verdict == "not shown"
    without_control = found(part_of, all_better)[STABILITY]
    assert (without_control.verdict, without_control.tests[-1].pairs) == ("not shown", 0)


def test_the_control_with_equally_long_steps_is_a_test_of_its_own(part_of: PartOf) -> None:
    records = both(3, nothing, lambda _: {"collapse": 2.0})
    records += [run("fo-ga-matched", seed, collapse=3.0) for seed in range(3)]
    last = found(part_of, records)[STABILITY].tests[-1]
    assert last.statistic.name == "time to collapse in T*, zo-ga minus fo-ga-matched"
    assert (last.interval.mean, last.verdict) == (-1.0, "not supported")


def test_a_run_that_never_completed_is_no_number(part_of: PartOf) -> None:
    records = both(3, nothing, nothing)
    records[-1] = unlearning_record("zo-ga", 2, completed=None)
    test, _ = found(part_of, records)[QUALITY].tests
    assert (test.interval.n, test.pairs, test.verdict) == (2, 3, "not shown")


def test_many_seeds_do_not_make_up_for_those_that_did_not_complete(part_of: PartOf) -> None:
    """Four of five agree to the digit; the fifth never got there."""
    records = both(5, nothing, nothing)
    records[-1] = unlearning_record("zo-ga", 4, completed=None)
    claim = found(part_of, records)[QUALITY]
    assert (claim.tests[0].interval.n, claim.verdict) == (4, "not shown")


def test_where_there_was_nothing_to_forget_nothing_is_shown(part_of: PartOf) -> None:
    records = both(3, nothing, nothing)
    for place, record in enumerate(records):
        done = record.completion.model_copy(update={"step": 0})  # type: ignore[union-attr]
        records[place] = record.model_copy(update={"completion": done})
    assert found(part_of, records) == {}


def test_without_both_arms_there_is_nothing_to_say(part_of: PartOf) -> None:
    assert found(part_of, [run("zo-ga", seed) for seed in range(3)]) == {}


def test_settings_are_tests_of_their_own(part_of: PartOf) -> None:
    """Less memory with one network and not with another: not supported."""
    small = both(3, lambda _: {"mib": 8}, lambda _: {"mib": 1})
    large = [
        r.model_copy(update={"case": r.case.model_copy(update={"model": "net"})}) for r in both(3, nothing, nothing)
    ]
    claim = found(part_of, small + large)[MEMORY]
    assert [test.verdict for test in claim.tests] == ["supported", "not supported"]
    assert claim.verdict == "not supported"


def test_the_claim_about_memory_names_the_batch_sizes_where_they_differ(part_of: PartOf) -> None:
    """zo-ga at batch 1 and fo-ga at 32, in a second setting at 4 and 4; the other claims are as they were."""

    def with_batches(model: str, **sizes: int) -> list[Record]:
        arms = {"fo-ga": sizes["first"], "zo-ga": sizes["zeroth"]}
        tuned = [changed(record, "case.batch_tuned", True) for record in both(3, nothing, nothing)]
        sized = [changed(record, "case.batch_size", arms[record.case.method]) for record in tuned]
        return [changed(record, "case.model", model) for record in sized]

    alike = with_batches("net", first=4, zeroth=4)
    assert MEMORY in found(part_of, alike)
    claims = found(part_of, [*with_batches("cnn", first=32, zeroth=1), *alike])
    named = f"{MEMORY}, each at its own batch size (1 against 32 and 4 against 4)"
    assert next(iter(claims)) == named
    assert claims[named].title == "Much less memory"
    assert QUALITY in claims
    several = [*with_batches("cnn", first=32, zeroth=1), *with_batches("net", first=8, zeroth=4)]
    assert f"{MEMORY}, each at its own batch size (1 against 32 and 4 against 8)" in found(part_of, several)


@pytest.mark.usefixtures("no_pictures")
def test_a_reader_finds_every_verdict_again_from_the_csv(write_json: Write, tmp_path: Path) -> None:
    """Recomputed with pandas and scipy alone."""
    records = both(
        4,
        lambda s: {"mib": 8, "tow": 0.9 - 0.01 * s, "collapse": 1.0 + s, "drop_at_distance": 10.0 + s},
        lambda s: {
            "mib": 3,
            "tow": 0.8 + 0.02 * s**2,
            "probe": 60 + s**2,
            "collapse": 2.0 + s**2,
            "drop_at_distance": 1.0 * s,
        },
    )
    results = load([write_json(records)])
    write_report(results, tmp_path / "out")
    table = pd.read_csv(tmp_path / "out" / "results.csv")
    wide = table.pivot(index="seed", columns="method")
    gap = (wide["quality.depth.20.model"] - wide["quality.depth.20.retrained"]).abs()
    by_hand = {
        "peak of live": wide["memory.tensor_peak_bytes", "zo-ga"] / wide["memory.tensor_peak_bytes", "fo-ga"],
        "ToW": wide["quality.tow", "zo-ga"] - wide["quality.tow", "fo-ga"],
        "distance of a probe's finds": gap["fo-ga"] - gap["zo-ga"],
        "time to collapse": wide["stability.collapse", "zo-ga"] - wide["stability.collapse", "fo-ga"],
        "slope": wide["stability.loss_slope", "fo-ga"] - wide["stability.loss_slope", "zo-ga"],
        "retain accuracy lost at matched displacement": wide["stability.drop_at_distance", "fo-ga"]
        - wide["stability.drop_at_distance", "zo-ga"],
        "retain accuracy lost at matched forget": wide["stability.drop_at_forget_loss", "fo-ga"]
        - wide["stability.drop_at_forget_loss", "zo-ga"],
    }
    (part,) = parts(results)
    tests = [test for claim in part.claims for test in claim.tests]
    tests.pop()  # the control that was not run
    later, less = table["rules.collapse_margin"][0], table["rules.drop_margin"][0]
    bounds = [
        table["rules.memory_ratio"][0],
        -table["rules.tow_margin"][0],
        -table["rules.depth_margin"][0],
        later,
        0,
        less,
        less,
    ]
    assert len(tests) == len(by_hand) == len(bounds)
    page = (tmp_path / "out" / "index.html").read_text()
    for test, bound, (words, values) in zip(tests, bounds, by_hand.items(), strict=True):
        assert test.statistic.name.startswith(words)
        assert test.bound == bound
        half = stats.t.ppf(0.975, 3) * values.std() / 2
        expected = (values.mean(), values.mean() - half, values.mean() + half)
        assert (test.interval.mean, test.interval.low, test.interval.high) == pytest.approx(expected)
        side = -1 if words == "peak of live" else 1  # memory is to lie below
        for_it = min(side * (expected[1] - bound), side * (expected[2] - bound)) > 0
        against = max(side * (expected[1] - bound), side * (expected[2] - bound)) < 0
        assert test.verdict == ("supported" if for_it else "not supported" if against else "not shown")
        mean, low, high = (shown(value, ".3g") for value in expected)
        assert f"<td>{mean} ({low} to {high})</td>" in page


def test_the_page_begins_with_the_claims(write_json: Write, tmp_path: Path) -> None:
    write_report(load([write_json(both(3, lambda _: {"mib": 8}, lambda _: {"mib": 1}))]), tmp_path / "out")
    page = (tmp_path / "out" / "index.html").read_text()
    assert page.index(MEMORY.partition(":")[0]) < page.index("<figure")
    words = " ".join(re.sub("<.*?>", "", page).split())
    assert f"{MEMORY}. Supported: of 1 test, 1 supported, 0 not supported, 0 not shown." in words


def test_a_page_without_erasures_says_what_a_verdict_takes(write_json: Write, tmp_path: Path) -> None:
    write_report(load([write_json([unlearning_record("retrain", 0)])]), tmp_path / "out")
    assert "No verdict on the paper's claims: it takes whole erasures" in (tmp_path / "out" / "index.html").read_text()


def test_bars_are_held_against_the_paired_ratios(part_of: PartOf) -> None:
    """zo-ga takes 1 times two forwards and fo-ga 1.5, so that zo-ga over fo-ga is 2/3; batch 64 was not timed."""
    bars = (
        StepBar(model="cnn", method="zo-ga", over="two forwards", batch_sizes=(1, 8), at_most=(1.0, 0.99)),
        StepBar(model="cnn", method="zo-ga", over="fo-ga", batch_sizes=(1, 64), at_most=(0.67, 9.0)),
        StepBar(model="cnn", method="fo-ga", over="zo-ga", batch_sizes=(1, 8), at_least=(1.5, 1.6)),
    )
    found = list(bar_tests(part_of().steps, Rules(step_time=bars)))
    assert [test.met for test in found] == [True, False, True, None, True, False]
    assert [test.rule for test in found][::3] == ["at most 1.00", "at most 9.00"]
    assert found[2].ratio == pytest.approx(2 / 3)


def test_bars_that_a_run_did_not_time_are_counted_apart(part_of: PartOf) -> None:
    bar = StepBar(model="cnn", method="zo-ga", over="two forwards", batch_sizes=(1, 8, 64), at_most=(1.0, 0.9, 1.0))
    part = part_of()
    part = replace(part, run=part.run.model_copy(update={"rules": Rules(step_time=(bar,))}))
    said = next(finding.text for finding in findings(part) if finding.name == "bars")
    assert said == (
        "Of 2 bars of step time 1 are met; missed: zo-ga over two forwards, cnn batch 8 (1.00, at most 0.90); 1 more "
        "name steps that were not timed."
    )
    table = bar_table(part)
    assert table is not None
    assert [row[-1] for row in table.rows] == ["met", "missed", "n/a"]
    assert [row[4] for row in table.rows][1:] == ["0.95 to 1.05", "n/a"]
