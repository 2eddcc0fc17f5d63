"""The forecast's command line: every option does what it says, and what cannot be used is told in one line."""

import pytest

from bench.base.sizes import MIB, parse_bytes
from bench.forecast.__main__ import main
from bench.forecast.peak import MOST_SAMPLES, forecast, largest_batch, with_batch
from bench.instruments.machine import available_devices
from tests.bench.forecast.test_forecast import stand_in

Say = pytest.CaptureFixture[str]


def peaks(capsys: Say, *arguments: str) -> list[float]:
    """What the forecast of the tiny network's inference prints, in MiB."""
    assert main(["--model", "cnn", "--method", "forward", *arguments]) == 0
    rows = capsys.readouterr().out.splitlines()
    return [float(row.split()[2].replace(",", "")) for row in rows if row.startswith("forward")]


def test_classes_are_rows_of_the_last_layer(capsys: Say) -> None:
    """A million more classes are so many more rows, biases and logits, and nothing else."""
    last = stand_in("cnn", "forward", 1).model()
    features = [module.in_features for module in last.modules() if hasattr(module, "in_features")][-1]
    few, many = peaks(capsys, "--classes", "10")[0], peaks(capsys, "--classes", "1000010")[0]
    assert many - few > 1_000_000 * 4 * (features + 1) / MIB
    assert many - few < 1_000_000 * 4 * (features + 1 + 3) / MIB


@pytest.mark.skipif("cuda" in available_devices(), reason="there is a CUDA device here")
def test_a_device_that_is_not_here_is_named_with_what_stands_in(capsys: Say) -> None:
    assert main(["--model", "cnn", "--device", "cuda"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("cnn on cuda, ")
    assert said[1] == "cuda is not here: the CPU's operations stand in for its own"


def test_beside_the_largest_batch_stands_its_peak(capsys: Say) -> None:
    assert main(["--model", "cnn", "--budget", "4MiB", "--method", "zo-ga"]) == 0
    said = capsys.readouterr().out.splitlines()
    found = stand_in("cnn", "zo-ga", 1)
    largest = largest_batch(found, 4 * MIB)
    peak = forecast(with_batch(found, largest)).total
    assert said[-1].split() == ["zo-ga", f"{largest}", f"{peak / MIB:.2f}"]


def test_arms_of_whole_erasures_are_forecast_too(capsys: Say) -> None:
    """Clipping holds no tensor, and NegGrad+ a batch of each set."""
    arms = ["zo-ga", "zo-ga-clipped", "zo-ga-fast", "zo-neggrad-plus"]
    assert main(["--model", "cnn", "--method", *arms]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[-len(arms) :]]
    assert [row[0] for row in rows] == arms
    plain, clipped, _, both = (float(row[2]) for row in rows)
    inputs = {row[0]: float(row[5]) for row in rows}
    assert plain == clipped < both
    assert inputs["zo-neggrad-plus"] == pytest.approx(2 * inputs["zo-ga"], abs=0.011)


@pytest.mark.parametrize("budget", ["1B", "0", "512KiB"])
def test_the_budget_is_said_as_it_was_given(capsys: Say, budget: str) -> None:
    assert main(["--model", "cnn", "--budget", budget, "--method", "zo-ga"]) == 0
    assert f"largest batch within {budget} " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--batch-size", "x"], f"must be a whole number from 1 to {MOST_SAMPLES:,}, not 'x'"),
        (["--batch-size", "9" * 20], "not '99999999999999999999'"),
        (["--batch-size", "0"], "not '0'"),
        (["--classes", "99999999999999"], "not '99999999999999'"),
        (["--batch-size", "8", "--budget", "5MiB"], "argument --budget: not allowed with argument --batch-size"),
    ],
)
def test_numbers_out_of_bounds_and_contradictions_are_wrong_usage(
    capsys: Say, arguments: list[str], words: str
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--model", "cnn", *arguments])
    assert words in capsys.readouterr().err


def test_a_step_too_large_to_be_described_is_told_in_one_line(capsys: Say) -> None:
    sizes = f"--image-size {2**20} --channels {2**20} --batch-size {2**20}"
    assert main(["--model", "cnn", "--device", "cuda", *sizes.split()]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("forecast: no forecast of cnn b1048576 fo-ga cuda: RuntimeError: Storage size calculat")
    assert said.err.count("\n") == 1


@pytest.mark.parametrize(
    "text", ["1%", "1,024MiB", "1.5.5MiB", "512MiB junk", "512MiB/2", "5-3", "-1", "", "9" * 400 + "GiB"]
)
def test_what_stands_behind_a_size_is_not_passed_over(text: str) -> None:
    with pytest.raises(ValueError, match="is no size; write bytes, or a number with KiB"):
        parse_bytes(text)
