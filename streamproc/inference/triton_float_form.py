"""The float form of a dynamically quantized ONNX file: the same weights, plain operators.

TensorRT runs float graphs. Torch and the original checkpoint are not needed: the int8 weights and their
scales are in the file, and float activations only come closer to the original.
"""

from pathlib import Path
from typing import Any

import numpy as np

from streamproc.errors import BundleError, UserError
from streamproc.extras import how_to_install

__all__ = ["float_form"]


def float_form(file: Path) -> bytes:
    """The ONNX file with every integer product replaced by the float product it stands for.

    A file without integer products is returned as it is.

    Args:
        file: an ONNX file, quantized by onnxruntime's dynamic quantization or not at all.

    Raises:
        BundleError: it is quantized in another way.
        UserError: the package ``onnx`` is not installed.
    """
    try:
        import onnx  # noqa: PLC0415 - of the extra `train`; serving does without it
    except ImportError:
        raise UserError(f"the gpu profile is made with the package onnx: {how_to_install('train')}") from None
    model = onnx.load(file)
    _Graph(model.graph, file, onnx.numpy_helper).make_float()
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString()
    return content


class _Graph:
    """What dynamic quantization left behind, and its way back.

    A product ``x · W`` became ``DynamicQuantizeLinear(x) → MatMulInteger → Cast → Mul`` by the product of
    both scales; a look-up in a table became a look-up of integers followed by ``DequantizeLinear``.
    """

    def __init__(self, graph: Any, file: Path, numpy_helper: Any) -> None:
        self._graph = graph
        self._file = file
        self._numpy = numpy_helper
        self._weights = {weight.name: weight for weight in graph.initializer}
        self._maker = {output: node for node in graph.node for output in node.output}

    def make_float(self) -> None:
        for node in list(self._graph.node):
            if node.op_type == "MatMulInteger":
                self._replace_product(node)
        for node in list(self._graph.node):
            if node.op_type == "DequantizeLinear":
                self._replace_lookup(node)
        self._drop_unused()

    def _replace_product(self, product: Any) -> None:
        quantize = self._maker[product.input[0]]
        cast = self._only_reader(product.output[0], "Cast")
        scaled = self._only_reader(cast.output[0], "Mul")
        scales = self._maker[next(name for name in scaled.input if name != cast.output[0])]
        if quantize.op_type != "DynamicQuantizeLinear" or scales.op_type != "Mul":
            raise self._unknown(product)
        weight_scale = next(name for name in scales.input if name != quantize.output[1])
        name = self._dequantize(product.input[1], weight_scale, product.input[3])
        # In place, so that the nodes stay in topological order.
        product.op_type = "MatMul"
        del product.input[:]
        product.input.extend([quantize.input[0], name])
        del product.output[:]
        product.output.extend(scaled.output)
        self._graph.node.remove(cast)
        self._graph.node.remove(scaled)

    def _replace_lookup(self, dequantize: Any) -> None:
        lookup = self._maker.get(dequantize.input[0])
        if lookup is None or lookup.op_type != "Gather":
            raise self._unknown(dequantize)
        lookup.input[0] = self._dequantize(lookup.input[0], *dequantize.input[1:])
        lookup.output[0] = dequantize.output[0]
        self._graph.node.remove(dequantize)

    def _dequantize(self, weight: str, scale: str, zero: str) -> str:
        """Add float32 = (weight − zero) · scale, whose columns have scales of their own, and name it."""
        quantized, scales, zeros = (
            self._numpy.to_array(self._weights[name]).astype(np.float32) for name in (weight, scale, zero)
        )
        name = f"{weight.removesuffix('_quantized')}_float"
        if name not in self._weights:
            tensor = self._numpy.from_array(((quantized - zeros) * scales).astype(np.float32), name=name)
            self._graph.initializer.append(tensor)
            self._weights[name] = tensor
        return name

    def _only_reader(self, value: str, op_type: str) -> Any:
        readers = [node for node in self._graph.node if value in node.input]
        if len(readers) != 1 or readers[0].op_type != op_type:
            raise self._unknown(self._maker[value])
        return readers[0]

    def _drop_unused(self) -> None:
        """Remove nodes and weights that only the integer products read."""
        while True:
            read = {name for node in self._graph.node for name in node.input}
            read.update(output.name for output in self._graph.output)
            idle = [node for node in self._graph.node if not read.intersection(node.output)]
            if not idle:
                break
            for node in idle:
                self._graph.node.remove(node)
        for weight in [weight for weight in self._graph.initializer if weight.name not in read]:
            self._graph.initializer.remove(weight)

    def _unknown(self, node: Any) -> BundleError:
        return BundleError(
            f"{self._file} has a {node.op_type} ({node.name}) that dynamic quantization does not leave behind: "
            "no float form can be made of it"
        )
