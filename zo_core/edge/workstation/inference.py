"""The same network for plain inference: one ONNX file with its weights in it, which an engine may fold and lay out."""

from pathlib import Path

import onnx_ir

from zo_core.edge.package import Package


def with_weights(package: Package, path: Path) -> None:
    """Write the package's graph with its weights as constants, as whoever only infers would export it."""
    model = onnx_ir.load(package.graph)
    views = package.layout.views(package.weights())
    shapes = {parameter.name: parameter.shape for parameter in package.layout.parameters}
    for value in [one for one in model.graph.inputs if one.name in views]:
        assert value.name is not None
        model.graph.inputs.remove(value)
        value.const_value = onnx_ir.tensor(views[value.name].reshape(shapes[value.name]), name=value.name)
        model.graph.initializers[value.name] = value
    onnx_ir.save(model, path)
