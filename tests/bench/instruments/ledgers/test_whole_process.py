"""Processes of their own: peaks over a life, and limits whose outcome is known beforehand."""

import pytest

from bench.instruments.ledgers import whole_process
from bench.instruments.ledgers.whole_process import life_peak, under_caps
from bench.instruments.stand_in import StandIn
from bench.record import Case
from bench.workloads.models import ImageSpec

MIB = 2**20


def stand_in(engine: str, method: str = "zo-ga") -> StandIn:
    case = Case(
        method=method,
        model="cnn",
        dataset="digits",
        image_size=8,
        batch_size=1,
        device="cpu",
        engine=engine,
        threads=1,
        seed=0,
    )
    return StandIn.of(case, ImageSpec(3, 8, 10), None)


@pytest.fixture(scope="module")
def peaks() -> dict[str, int]:
    """Of a life on either engine."""
    found = {engine: life_peak(stand_in(engine)) for engine in ("onnxruntime", "torch")}
    assert [peak.reason for peak in found.values()] == [None, None]
    return {engine: peak.total or 0 for engine, peak in found.items()}


def test_a_process_without_torch_is_the_smaller_one(peaks: dict[str, int]) -> None:
    """Python alone takes some MiB, importing torch some hundred."""
    assert 10 * MIB < peaks["onnxruntime"] < 150 * MIB < peaks["torch"]


@pytest.mark.parametrize("grouped", [True, False])
def test_a_limit_far_below_the_peak_kills_and_one_far_above_does_not(
    grouped: bool, peaks: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a control group, where one may be made here, and by the limit of the process."""
    if not grouped:
        monkeypatch.setattr(whole_process, "MEMBERSHIP", whole_process.MEMBERSHIP.with_name("none"))
    elif whole_process._own_group() is None:
        pytest.skip("no control group with a memory limit may be made here")
    low, high = peaks["onnxruntime"] // MIB // 4, 8 * peaks["onnxruntime"] // MIB
    caps = list(under_caps(stand_in("onnxruntime"), [low, high, 2 * high]))
    assert [(cap.limit_bytes, cap.completed) for cap in caps] == [
        (low * MIB, False),
        (high * MIB, True),
        (2 * high * MIB, True),
    ]
    assert {cap.basis for cap in caps} == {"cgroup" if grouped else "RLIMIT_DATA"}


def test_torch_does_not_fit_where_the_engine_does(peaks: dict[str, int]) -> None:
    between = 2 * peaks["onnxruntime"] // MIB
    fits = {engine: next(under_caps(stand_in(engine), [between])).completed for engine in peaks}
    assert fits == {"onnxruntime": True, "torch": False}


def test_what_fails_for_another_reason_says_why() -> None:
    broken = stand_in("torch").model_copy(update={"modules": ("no_such_module",)})
    assert "no_such_module" in (life_peak(broken).reason or "")


def test_no_limit_asks_for_no_process() -> None:
    assert not list(under_caps(stand_in("torch").model_copy(update={"modules": ("no_such_module",)}), []))
