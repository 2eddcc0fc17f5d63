"""What a step takes of this device: the most memory that this process has at once, and time over forward passes.

The learning rate is zero and the images are blank: the work is the same, and the weights come back.
"""

import json
import math
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from zo_core.ascent.plan import MOVABLE
from zo_core.edge.device.memory import peak_bytes
from zo_core.edge.device.methods import METHODS, optimizer_for
from zo_core.edge.device.network import OnnxNetwork, start_plain
from zo_core.edge.package import IMAGES, Package, PackageError

FEWEST_ROUNDS = 5


def add_arguments(parser: ArgumentParser) -> None:
    """What the command line may say."""
    add = parser.add_argument
    add("package", type=Path, help="folder that `export` made")
    add("--method", default="zo-ga", choices=(*METHODS, MOVABLE), help="a run of the graph alone: forward-movable")
    add("--tail", default="all", choices=("all", "stage", "block", "layer"), help="how much of the network moves")
    add("--batch-size", type=int, default=1, metavar="N")
    add("--threads", type=int, default=1)
    add("--seconds", type=float, default=2.0, help="how long to time steps; 0 for the peak alone")
    add("--steps", type=int, default=2, help="that the peak is of")
    add("--inference", type=Path, metavar="GRAPH", help="an ONNX file with its weights in it: that alone, and no step")


def run(options: Namespace) -> int:
    """Run the command; writes a line of JSON, and returns the exit code."""
    for name in ("batch_size", "threads", "steps"):
        if getattr(options, name) < 1:
            raise PackageError(f"--{name.replace('_', '-')} must be at least 1, not {getattr(options, name)}")
    if not 0 <= options.seconds < math.inf:
        raise PackageError(f"--seconds must be at least 0 and finite, not {options.seconds:g}")
    start_bytes = peak_bytes()
    package = Package(options.package)
    how = package.layout.preprocessing
    images = np.zeros((options.batch_size, how.channels, how.size, how.size), np.float32)
    if options.inference is not None:
        step, forward = _inference(options.inference, options.threads, images), None
    else:
        step, forward = _step(package, options, images)
    for _ in range(options.steps):
        step()
    found: dict[str, Any] = {"process_start_bytes": start_bytes, "process_peak_bytes": peak_bytes()}
    if options.seconds > 0 and forward is not None:
        found |= paired(step, forward, options.seconds)
    sys.stdout.write(json.dumps(found) + "\n")
    return 0


def paired(step: Callable[[], Any], forward: Callable[[], Any], seconds: float) -> dict[str, float]:
    """Medians, in seconds, of a step and of a forward pass that are timed in turn, and their ratios' quartiles."""
    steps: list[float] = []
    forwards: list[float] = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until or len(steps) < FEWEST_ROUNDS:
        steps.append(_timed(step))
        forwards.append(_timed(forward))
    ratios = [one / (2 * other) for one, other in zip(steps, forwards, strict=True)]
    lower, middle, upper = np.quantile(ratios, (0.25, 0.5, 0.75)).tolist()
    return {
        "step_s": float(np.median(steps)),
        "forward_s": float(np.median(forwards)),
        "times_two_forwards": middle,
        "times_two_forwards_q1": lower,
        "times_two_forwards_q3": upper,
        "rounds": len(steps),
    }


def _step(
    package: Package, options: Namespace, images: "np.ndarray[Any, np.dtype[np.float32]]"
) -> tuple[Callable[[], Any], Callable[[], Any]]:
    if options.method == MOVABLE:
        network = OnnxNetwork(package, options.threads)
        return lambda: network.run(images), lambda: network.run(images)
    optimizer = optimizer_for(package, options.method, lr=0.0, tail=options.tail, threads=options.threads)
    labels = np.zeros(len(images), np.int64)
    return lambda: optimizer.step(images, labels), lambda: optimizer.network.run(images)


def _inference(graph: Path, threads: int, images: "np.ndarray[Any, np.dtype[np.float32]]") -> Callable[[], Any]:
    session = start_plain(graph, threads)
    return lambda: session.run(None, {IMAGES: images})


def _timed(function: Callable[[], Any]) -> float:
    since = time.perf_counter()
    function()
    return time.perf_counter() - since
