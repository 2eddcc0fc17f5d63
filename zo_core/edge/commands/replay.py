"""Do again what a receipt says, on the package's weights and without the data: the same weights to the bit."""

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from zo_core.edge.files import save
from zo_core.edge.package import WEIGHTS, Package
from zo_core.receipt import Receipt, ReceiptError, differences, numbers_hash, replay_on


def add_arguments(parser: ArgumentParser) -> None:
    """What the command line may say."""
    parser.add_argument("package", type=Path, help="folder that `export` made")
    parser.add_argument("receipt", type=Path, help="receipt.json of the erasure")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="for the weights and the receipt")


def run(options: Namespace) -> int:
    """Run the command; returns the exit code."""
    package, receipt = Package(options.package), Receipt.read(options.receipt)
    weights, pool = package.weights(), package.pool()
    _check(receipt, layout=package.layout.hash, pool=numbers_hash(pool), before=numbers_hash(weights))
    replay_on(package.layout.views(weights), pool, receipt)
    _check(receipt, after=numbers_hash(weights))
    save(options.out, weights, receipt)
    sys.stdout.write(f"{options.out / WEIGHTS}: {receipt.steps} steps of {receipt.method} replayed, to the bit\n")
    return 0


def _check(receipt: Receipt, **found: str) -> None:
    if wrong := differences(receipt, **found):
        raise ReceiptError(f"not what the receipt says: {', '.join(wrong)}; nothing has been written")
