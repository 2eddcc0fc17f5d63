"""Have a package forget images: steps up their loss until they are answered no better than by chance."""

import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path

from zo_core.edge.device.erasure import Outcome, erase
from zo_core.edge.device.forget_set import forget_set
from zo_core.edge.device.methods import METHODS, optimizer_for
from zo_core.edge.files import check_new
from zo_core.edge.package import RECEIPT, WEIGHTS, Package, PackageError

INCOMPLETE = 1
LINE_S = 10.0  # seconds between two lines where they do not replace each other
MIB = 2**20


def add_arguments(parser: ArgumentParser) -> None:
    """What the command line may say."""
    add = parser.add_argument
    add("package", type=Path, help="folder that `export` made")
    add("--images", type=Path, required=True, metavar="FOLDER", help="what is to be forgotten: folders called by class")
    add("--request", type=Path, metavar="FILE", help="of these, the ones that a list names: a path a line, or CSV")
    add("--label", metavar="CLASS", help="or images of this class, in the folder itself")
    add("--method", default="zo-ga", choices=METHODS)
    add("--tail", default="all", choices=("all", "stage", "block", "layer"), help="how much of the network moves")
    add("--lr", type=float, required=True, help="learning rate")
    add("--eps", type=float, default=1e-3, help="size of the perturbation")
    add("--batch-size", type=int, default=1, metavar="N")
    add("--steps", type=int, default=10_000, metavar="N", help="give up after so many")
    add("--target", type=float, metavar="PERCENT", help="forget accuracy that completes it; chance if not given")
    add("--seed", type=int, default=0)
    add("--threads", type=int, default=1)
    add("--out", type=Path, required=True, metavar="FOLDER", help="for the erased weights and the receipt")


def run(options: Namespace) -> int:
    """Run the command; returns the exit code: 1 if the erasure is not complete, and then nothing has been written."""
    _check(options)
    package = Package(options.package)
    with package.alone():
        optimizer = optimizer_for(
            package,
            options.method,
            lr=options.lr,
            eps=options.eps,
            tail=options.tail,
            seed=options.seed,
            threads=options.threads,
        )
        forget = forget_set(package, options.images, label=options.label, request=options.request)
        chance = 100 / len(package.layout.classes)
        target = chance if options.target is None else options.target
        outcome = erase(
            optimizer,
            forget,
            batch_size=min(options.batch_size, len(forget)),
            most_steps=options.steps,
            target=target,
            seed=options.seed,
            tell=_progress(target),
        )
        if not outcome.complete:
            sys.stdout.write(f"{_summary(outcome, len(forget))}\n")
            sys.stderr.write(
                f"erase: not complete: forget accuracy is above {target:.4g} %; nothing has been written. Raise "
                "--lr or --steps, or give --target\n"
            )
            return INCOMPLETE
        optimizer.save(options.out)
    sys.stdout.write(
        f"{_summary(outcome, len(forget))}\n{options.out / WEIGHTS} and {options.out / RECEIPT} are written\n"
    )
    return 0


def _check(options: Namespace) -> None:
    for name in ("batch_size", "steps", "threads"):
        if getattr(options, name) < 1:
            raise PackageError(f"--{name.replace('_', '-')} must be at least 1, not {getattr(options, name)}")
    if options.target is not None and not 0 <= options.target <= 100:
        raise PackageError(f"--target is forget accuracy in percent, from 0 to 100, not {options.target:g}")
    if not 0 <= options.seed < 2**63:
        raise PackageError(f"--seed must be an integer in [0, 2**63), not {options.seed}")
    check_new(options.out)


def _summary(outcome: Outcome, samples: int) -> str:
    each = 1000 * outcome.step_seconds / max(1, outcome.steps)
    return (
        f"{samples} images: forget accuracy {outcome.before:.1f} % before, {outcome.after:.1f} % after {outcome.steps} "
        f"steps; {outcome.seconds:.1f} s ({each:.1f} ms a step), peak of the process {outcome.peak_bytes / MIB:.0f} MiB"
    )


def _progress(target: float) -> Callable[[int, float], None]:
    """Says how far the erasure is: on a terminal in one line, elsewhere in a line every so often."""
    terminal, spoken = sys.stderr.isatty(), time.monotonic()

    def tell(steps: int, accuracy: float) -> None:
        nonlocal spoken
        line = f"step {steps}: forget accuracy {accuracy:.1f} %, to be {target:.4g} %"
        if terminal:
            sys.stderr.write(f"\r{line}\033[K" + ("\n" if accuracy <= target else ""))
        elif time.monotonic() - spoken > LINE_S:
            spoken = time.monotonic()
            sys.stderr.write(f"{line}\n")
        sys.stderr.flush()

    return tell
