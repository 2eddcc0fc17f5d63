"""The forecast equals the measurement to the byte, and finds the largest batch that fits."""

import pytest
import torch

from bench.base.sizes import MIB, parse_bytes
from bench.forecast.__main__ import main
from bench.forecast.peak import MOST_SAMPLES, forecast, largest_batch, with_batch
from bench.instruments.ledgers.tensor_ledger import tensor_peak
from bench.instruments.machine import available_devices
from bench.instruments.stand_in import StandIn
from bench.profiles import Training, load_profile
from bench.record import Case
from bench.workloads.models import ImageSpec


def stand_in(
    model: str, method: str, batch_size: int, image_size: int = 32, channels: int = 3, device: str = "cpu"
) -> StandIn:
    case = Case(
        method=method,
        model=model,
        dataset="none",
        image_size=image_size,
        batch_size=batch_size,
        device=device,
        threads=1,
        seed=0,
    )
    return StandIn.of(case, ImageSpec(channels, image_size, 10), None)


def of_quick() -> list[StandIn]:
    """Every case of the quick profile, those that differ in the seed or the scenario once."""
    profile = load_profile("quick")
    distinct = {
        (case.model, case.method, case.batch_size, case.image_size, case.scenario is None): case
        for case in (*profile.step_cases(), *profile.unlearning_cases())
    }
    training = profile.unlearning[0].training
    return [StandIn.of(case, ImageSpec(1, case.image_size, 10), training) for case in distinct.values()]


@pytest.mark.parametrize("of_case", of_quick(), ids=lambda s: f"{s.case.id}-{s.case.image_size}px")
def test_it_equals_the_measurement_on_every_case_of_quick(of_case: StandIn) -> None:
    assert forecast(of_case) == tensor_peak(of_case.prepare)


@pytest.mark.parametrize(
    ("model", "method", "batch_size"),
    [
        ("cnn", "fo-ga-checkpoint", 5),
        ("resnet20", "fo-ga-checkpoint", 8),
        ("resnet18", "fo-ga-checkpoint", 2),
        ("mobilenet_v3_small", "fo-ga-checkpoint", 2),
        ("resnet20", "zo-ga-gaussian", 3),
        ("mobilenet_v3_small", "zo-mezo", 2),
        ("mobilenet_v3_small", "fo-ga-head", 2),
        ("cnn", "random-label", 4),
        ("resnet20", "salun", 2),
        ("resnet20", "subspace", 2),
        ("small-vit", "fo-ga", 2),
        ("small-vit", "zo-ga", 2),
        ("swin_t", "zo-ga", 2),
        ("regnet_y_400mf", "fo-ga", 2),  # its constructor computes with tensors
        ("regnet_y_400mf", "zo-ga", 2),
        ("squeezenet1_1", "fo-ga", 2),  # dropout, in eval mode
    ],
)
def test_it_equals_the_measurement_on_other_models_and_arms(model: str, method: str, batch_size: int) -> None:
    found = stand_in(model, method, batch_size)
    assert forecast(found) == tensor_peak(found.prepare)


@pytest.mark.parametrize("method", ["fo-ga-accumulate", "zo-ga-microbatch"])
@pytest.mark.parametrize("batch_size", [1, 2, 3, 4, 17])
def test_slices_beyond_the_third_follow_from_the_second_and_third(method: str, batch_size: int) -> None:
    found = stand_in("cnn", method, batch_size)
    assert forecast(found) == tensor_peak(found.prepare)


def test_retraining_in_train_mode_with_momentum() -> None:
    case = stand_in("resnet20", "retrain", 32).case.model_copy(update={"scenario": "class:3"})
    training = Training(epochs=1, batch_size=16, lr=0.1, weight_decay=1e-3)
    found = StandIn.of(case, ImageSpec(3, 32, 10), training)
    peak = forecast(found)
    assert peak == tensor_peak(found.prepare)
    assert peak.by_category["optimizer"] == sum(p.nbytes for p in found.model().parameters())
    assert peak.by_category["inputs"] == 16 * (3 * 32 * 32 * 4 + 8)


def test_nothing_is_allocated() -> None:
    """A batch of 10 TB."""
    peak = forecast(stand_in("cnn", "zo-ga", MOST_SAMPLES, image_size=896, channels=3))
    assert peak.by_category["inputs"] == MOST_SAMPLES * (3 * 896 * 896 * 4 + 8) > 10e12


@pytest.mark.skipif("cuda" in available_devices(), reason="there is a CUDA device here")
def test_a_device_that_is_not_here_is_forecast_by_the_cpus_operations() -> None:
    assert forecast(stand_in("cnn", "fo-ga", 4, device="cuda")) == forecast(stand_in("cnn", "fo-ga", 4))


@pytest.mark.cuda
@pytest.mark.skipif("cuda" not in available_devices(), reason="needs a CUDA device")
@pytest.mark.parametrize("method", ["forward", "fo-ga", "zo-ga"])
@pytest.mark.parametrize("model", ["cnn", "resnet18", "vit_b_16"])
def test_on_cuda_it_equals_the_measurement(model: str, method: str) -> None:
    found = stand_in(model, method, 4, device="cuda")
    assert forecast(found) == tensor_peak(found.prepare)


@pytest.mark.parametrize("method", ["fo-ga", "zo-ga", "fo-ga-checkpoint", "fo-ga-accumulate", "zo-ga-microbatch"])
def test_the_largest_batch_fits_and_one_more_does_not(method: str) -> None:
    budget = 8 * MIB
    found = stand_in("cnn", method, 1)
    largest = largest_batch(found, budget)
    assert forecast(with_batch(found, largest)).total <= budget < forecast(with_batch(found, largest + 1)).total


def test_a_budget_at_the_byte() -> None:
    found = stand_in("cnn", "zo-ga", 7)
    exactly = forecast(found).total
    assert (largest_batch(found, exactly), largest_batch(found, exactly - 1)) == (7, 6)


def test_budgets_that_nothing_or_everything_fits() -> None:
    assert largest_batch(stand_in("cnn", "zo-ga", 1), 1000) == 0
    assert largest_batch(stand_in("cnn", "zo-ga", 1), 10**18) == MOST_SAMPLES


def test_the_command_line_prints_the_forecast(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = "--model cnn --image-size 16 --batch-size 1 8 --channels 1 --method fo-ga zo-ga"
    assert main(arguments.split()) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "cnn on cpu, 1x16x16 images, 10 classes: a forecast"
    rows = [line.split() for line in said[2:]]
    assert [row[:2] for row in rows] == [["fo-ga", "1"], ["zo-ga", "1"], ["fo-ga", "8"], ["zo-ga", "8"]]
    for method, batch_size, peak, *categories in rows:
        exact = forecast(stand_in("cnn", method, int(batch_size), image_size=16, channels=1))
        assert float(peak) == pytest.approx(exact.total / MIB, abs=0.005)
        assert sum(map(float, categories)) == pytest.approx(exact.total / MIB, abs=0.04)


def test_the_command_line_prints_the_largest_batches(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--model", "cnn", "--budget", "256KiB", "--method", "fo-ga", "zo-ga"]) == 0
    fo, zo = capsys.readouterr().out.splitlines()[-2:]
    assert fo.split()[:2] == ["fo-ga", "none"]
    assert zo.split()[:2] == ["zo-ga", "none"]
    assert main(["--model", "cnn", "--budget", "4MiB", "--method", "zo-ga"]) == 0
    batch = int(capsys.readouterr().out.splitlines()[-1].split()[1])
    assert batch == largest_batch(stand_in("cnn", "zo-ga", 1), 4 * MIB) > 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model", "cmm"], "unknown model 'cmm'; choose from: cnn,"),
        (["--model", "cnn", "--method", "zo"], "there is no step of 'zo' to forecast; choose from: forward,"),
        (["--model", "cnn", "--method", "retrain"], "there is no step of 'retrain' to forecast; choose from: forward,"),
        (["--model", "cnn", "--budget", "lots"], "'lots' is no size; write bytes, or a number with KiB"),
        (["--model", "alexnet", "--image-size", "8"], "model 'alexnet' does not take 8x8 images"),
    ],
)
def test_bad_arguments_are_told_in_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert words in said.err
    assert said.err.count("\n") == 1


@pytest.mark.parametrize("arguments", [["--batch-size", "0"], ["--device", "tpu"], ["--image-size", "x"]])
def test_wrong_numbers_are_wrong_usage(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--model", "cnn", *arguments])
    assert "error: argument" in capsys.readouterr().err


def test_sizes_as_people_write_them() -> None:
    assert [parse_bytes(text) for text in ("0", "65536", "64KiB", "1.5MB", "2 GiB")] == [
        0,
        65536,
        65536,
        1_500_000,
        2**31,
    ]


def test_the_random_state_is_left_alone() -> None:
    before = torch.get_rng_state()
    forecast(stand_in("resnet20", "fo-ga", 2))
    assert torch.equal(torch.get_rng_state(), before)
