"""A network on ONNX Runtime whose weights are one flat buffer that may be changed between two runs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import onnxruntime

from zo_core.edge.package import FEATURES, IMAGES, LOGITS, Package, PackageError
from zo_core.engine.flat import Numbers

ERRORS_ALONE = 3  # onnxruntime's severity
OUT_OF_MEMORY = ("bad_alloc", "Failed to allocate memory", "bad allocation")


class Outputs(NamedTuple):
    """What a network makes of a batch: (N, classes) logits, and the (N, features) that its last layer sees, or None."""

    logits: Numbers
    features: Numbers | None


class Network(Protocol):
    """What an inference engine must offer.

    Attributes:
        weights: all parameters in one flat buffer; whoever changes it changes what `run` computes.
        parameters: each parameter's part of it, flat, by its name.
    """

    weights: Numbers

    @property
    def parameters(self) -> Mapping[str, Numbers]:
        """See above."""
        ...

    def run(self, images: Numbers) -> Outputs:
        """Send (N, C, H, W) float32 images through the network as it is."""
        ...


class OnnxNetwork:
    """A package on ONNX Runtime's CPU kernels: weights are pure inputs of its graph, bound once and never copied.

    Args:
        package: what is run.
        threads: that compute.
        weights: (numbers,) float32 to run with; the package's own if not given.
        session: of the package's graph, if there is one already.

    Raises:
        PackageError: the package is not whole, or the engine cannot run it.
    """

    def __init__(self, package: Package, threads: int = 1, weights: Numbers | None = None, session: Any = None) -> None:
        self.weights = package.weights() if weights is None else weights
        self.parameters = package.layout.views(self.weights)
        self._session = start(package.graph, threads) if session is None else session
        self._binding = self._session.io_binding()
        taken = {one.name for one in self._session.get_inputs()}
        shapes = {parameter.name: parameter.shape for parameter in package.layout.parameters}
        self._held = {
            name: onnxruntime.OrtValue.ortvalue_from_numpy(numbers.reshape(shapes[name]))
            for name, numbers in self.parameters.items()
            if name in taken
        }
        for name, value in self._held.items():
            self._binding.bind_ortvalue_input(name, value)
        self._outputs = [one.name for one in self._session.get_outputs()]

    def run(self, images: Numbers) -> Outputs:
        """See `Network.run`; raises PackageError or MemoryError where the engine fails."""
        self._binding.bind_cpu_input(IMAGES, np.ascontiguousarray(images, dtype=np.float32))
        for name in self._outputs:
            self._binding.bind_output(name)
        try:
            self._session.run_with_iobinding(self._binding)
        except Exception as error:  # its errors have no common base
            raise _told(error) from None
        found = dict(zip(self._outputs, self._binding.copy_outputs_to_cpu(), strict=True))
        return Outputs(found[LOGITS], found.get(FEATURES))


def start(graph: Path, threads: int) -> Any:
    """A session of ONNX Runtime for a graph whose weights are inputs, in little memory; raises PackageError."""
    options = _options(threads)
    options.enable_mem_pattern = False
    # What comes after it lays weights out anew, once; these move, so that it would cost a MiB and gain nothing.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.add_session_config_entry("mlas.disable_kleidiai", "1")  # on Arm it packs weights once, and they move here
    return _session(graph, options)


def start_plain(graph: Path, threads: int) -> Any:
    """A session for a graph that has its weights in it, as the engine runs it best; raises PackageError."""
    return _session(graph, _options(threads))


def _options(threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = ERRORS_ALONE
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _session(graph: Path, options: Any) -> Any:
    try:
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors have no common base
        raise PackageError(f"{graph}: ONNX Runtime cannot run it: {str(error).strip().splitlines()[0]}") from None


def _told(error: Exception) -> Exception:
    """What to raise for an error of the engine's while it runs."""
    said = " ".join(str(error).split())
    if any(words in said for words in OUT_OF_MEMORY):
        return MemoryError(said)
    return PackageError(f"ONNX Runtime cannot run the network: {said}")


def cross_entropy(logits: Numbers, labels: np.ndarray[Any, Any]) -> float:
    """Mean cross-entropy in nats of (N, classes) logits, in float64; NaN where a logit is not finite."""
    z = logits.astype(np.float64)
    with np.errstate(invalid="ignore"):  # infinity less infinity is NaN, as said
        z -= z.max(axis=1, keepdims=True)
    return float(np.mean(np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(z)), labels]))
