"""Will it fit? The forecast of a step's peak memory, on the command line.

`python -m bench.forecast --model vit_b_16 --image-size 224 --batch-size 64 --method fo-ga zo-ga`
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import get_args

from bench.arms.table import methods
from bench.base.paths import called
from bench.base.registry import add_modules_option, import_modules
from bench.base.sizes import MIB, parse_bytes
from bench.forecast.peak import MOST_SAMPLES, ForecastError, forecast, largest_batch, with_batch
from bench.instruments.ledgers.tensor_ledger import CATEGORIES
from bench.instruments.machine import available_devices
from bench.instruments.stand_in import StandIn
from bench.record import Case, Dtype
from bench.workloads.models import ImageSpec, check_model


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code, 2 if something given cannot be used."""
    options = _parser().parse_args(arguments)
    try:
        import_modules(options.modules)
        budget = None if options.budget is None else parse_bytes(options.budget)
        stand_ins = _stand_ins(options)
        rows = _peaks(stand_ins) if budget is None else _largest_batches(stand_ins, budget, options.budget)
        sys.stdout.write("".join([_header(options), *rows]))
    except (ValueError, ForecastError) as error:
        sys.stderr.write(f"forecast: {error}\n")
        return 2
    return 0


def _header(options: argparse.Namespace) -> str:
    size = f"{options.channels}x{options.image_size}x{options.image_size}"
    passes = "" if options.dtype == "float32" else f" in {options.dtype}"
    what = f"{options.model}{passes} on {options.device}, {size} images, {options.classes} classes: a forecast\n"
    if options.device in available_devices():
        return what
    return f"{what}{options.device} is not here: the CPU's operations stand in for its own\n"


def _parser() -> argparse.ArgumentParser:
    of = ", ".join(_arms())
    parser = argparse.ArgumentParser(
        prog=called("forecast"), description="Peak of live tensors in one step, without allocating it."
    )
    add_modules_option(parser)
    parser.add_argument("--model", required=True, help="a name that profiles use")
    parser.add_argument("--image-size", type=_count, default=32, metavar="PIXELS", help="default: 32")
    asked = parser.add_mutually_exclusive_group()
    asked.add_argument("--batch-size", type=_count, nargs="+", default=[1], metavar="N", help="default: 1")
    asked.add_argument("--budget", metavar="SIZE", help="say instead the largest batch that fits, such as 512MiB")
    parser.add_argument("--method", nargs="+", default=["fo-ga", "zo-ga"], metavar="ARM", help=f"of {of}")
    parser.add_argument("--channels", type=_count, default=3, metavar="N", help="of the images; default: 3")
    parser.add_argument("--classes", type=_count, default=10, metavar="N", help="default: 10")
    parser.add_argument("--dtype", default="float32", choices=get_args(Dtype), help="of the passes; default: float32")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda", "mps", "xpu"], help="default: cpu")
    return parser


def _count(text: str) -> int:
    """A number from 1 to `MOST_SAMPLES`, beyond which torch cannot number the bytes of a batch."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if not 1 <= value <= MOST_SAMPLES:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 to {MOST_SAMPLES:,}, not {text!r}")
    return value


def _stand_ins(options: argparse.Namespace) -> list[StandIn]:
    """One for every batch size and method, the methods of a batch size together.

    Raises:
        ValueError: a name is unknown, or the model does not take such images.
    """
    spec = ImageSpec(options.channels, options.image_size, options.classes)
    check_model(options.model, spec, options.dtype, "meta")
    for method in options.method:
        if method not in _arms():
            raise ValueError(f"there is no step of {method!r} to forecast; choose from: {', '.join(_arms())}")
    return [
        StandIn.of(
            Case(
                method=method,
                model=options.model,
                dataset="none",
                image_size=options.image_size,
                batch_size=batch_size,
                device=options.device,
                dtype=options.dtype,
                threads=1,
                seed=0,
            ),
            spec,
            training=None,
        )
        for batch_size in options.batch_size
        for method in options.method
    ]


def _arms() -> list[str]:
    """All but Retrain, whose step is that of a training which is not given here."""
    return [name for name in methods if methods.get(name).start is not None or "step" in methods.get(name).kinds]


def _peaks(stand_ins: Sequence[StandIn]) -> Iterator[str]:
    yield _row("arm", "batch", "peak, MiB", *CATEGORIES)
    for stand_in in stand_ins:
        peak = forecast(stand_in)
        sizes = (f"{size / MIB:,.2f}" for size in (peak.total, *(peak.by_category[name] for name in CATEGORIES)))
        yield _row(stand_in.case.method, str(stand_in.case.batch_size), *sizes)


def _largest_batches(stand_ins: Sequence[StandIn], budget: int, as_given: str) -> Iterator[str]:
    yield _row("arm", f"largest batch within {as_given}", "peak there, MiB")
    for stand_in in stand_ins:
        batch_size = largest_batch(stand_in, budget)
        peak = forecast(with_batch(stand_in, max(1, batch_size))).total
        said = f"{batch_size:,}" if batch_size else "none"
        more = " or more" if batch_size == MOST_SAMPLES else ""
        yield _row(stand_in.case.method, said + more, f"{peak / MIB:,.2f}")


def _row(first: str, *cells: str) -> str:
    return "  ".join([f"{first:<17}", *(f"{cell:>11}" for cell in cells)]) + "\n"


if __name__ == "__main__":
    sys.exit(main())
