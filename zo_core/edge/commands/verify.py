"""Hold a receipt against a package and erased weights: what matches, what does not, and that its steps lead there."""

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from zo_core.edge.package import WEIGHTS, Package, read_numbers
from zo_core.receipt import Receipt, differences, numbers_hash, replay_on

DIFFERENT = 1
WORDS = {"layout": "layout", "pool": "pool", "before": "weights before", "after": "weights after"}
MEANS = "the steps lead from the weights before to those after; on whose data the losses were seen, no receipt proves"


def add_arguments(parser: ArgumentParser) -> None:
    """What the command line may say."""
    parser.add_argument("package", type=Path, help="folder that `export` made")
    parser.add_argument("receipt", type=Path, help="receipt.json of the erasure")
    parser.add_argument(
        "erased", type=Path, nargs="?", help="weights.npy of the erasure; beside the receipt if not given"
    )


def run(options: Namespace) -> int:
    """Run the command; returns the exit code: 1 if something does not match."""
    package, receipt = Package(options.package), Receipt.read(options.receipt)
    weights, pool = package.weights(), package.pool()
    erased = read_numbers(options.erased or options.receipt.parent / WEIGHTS)
    found = {"layout": package.layout.hash, "pool": numbers_hash(pool), "before": numbers_hash(weights)}
    wrong = differences(receipt, **found, after=numbers_hash(erased))
    if wrong:
        sys.stdout.write(f"{options.receipt}: does not match: {', '.join(WORDS[name] for name in wrong)}\n")
        return DIFFERENT
    if not receipt.replayable:
        sys.stdout.write(f"{options.receipt}: all hashes match; steps of {receipt.method} cannot be replayed\n")
        return 0
    replay_on(package.layout.views(weights), pool, receipt)
    if differences(receipt, after=numbers_hash(weights)):
        sys.stdout.write(f"{options.receipt}: all hashes match, but its steps lead to other weights\n")
        return DIFFERENT
    sys.stdout.write(f"{options.receipt}: {receipt.steps} steps of {receipt.method} match: {MEANS}\n")
    return 0
