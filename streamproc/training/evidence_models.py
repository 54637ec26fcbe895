"""Tagger and calibrator as ONNX files of plain operators, which every runtime reads."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from streamproc.training.perceptron import CLIP, Network

__all__ = ["write_calibrator", "write_tagger"]

_OPSET = 17  # the newest that all supported versions of onnxruntime and TensorRT read
_IR_VERSION = 8


def write_tagger(network: Network, file: Path) -> None:
    """Write ``evidence float32[rows, features] -> logit float32[rows]``."""
    nodes, weights = _layers(network, "evidence", "column")
    weights.append(numpy_helper.from_array(np.array([1], dtype=np.int64), "logit_axis"))
    nodes.append(helper.make_node("Squeeze", ["column", "logit_axis"], ["logit"]))
    _save(
        file,
        nodes,
        weights,
        helper.make_tensor_value_info("evidence", TensorProto.FLOAT, ["rows", len(network.mean)]),
        helper.make_tensor_value_info("logit", TensorProto.FLOAT, ["rows"]),
    )


def write_calibrator(network: Network, file: Path) -> None:
    """Write ``features float32[rows, evidence + 1] -> logits float32[rows, 2]`` (Yes, No)."""
    nodes, weights = _layers(network, "features", "logits")
    _save(
        file,
        nodes,
        weights,
        helper.make_tensor_value_info("features", TensorProto.FLOAT, ["rows", len(network.mean)]),
        helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["rows", 2]),
    )


def _layers(
    network: Network, source: str, target: str
) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    weights = [
        numpy_helper.from_array(network.mean, "mean"),
        numpy_helper.from_array(network.scale, "scale"),
        numpy_helper.from_array(np.array(-CLIP, dtype=np.float32), "lowest"),
        numpy_helper.from_array(np.array(CLIP, dtype=np.float32), "highest"),
    ]
    nodes = [
        helper.make_node("Sub", [source, "mean"], ["centred"]),
        helper.make_node("Mul", ["centred", "scale"], ["scaled"]),
        helper.make_node("Clip", ["scaled", "lowest", "highest"], ["hidden_0"]),
    ]
    last = len(network.layers) - 1
    for number, (matrix, biases) in enumerate(network.layers):
        weights.append(numpy_helper.from_array(np.ascontiguousarray(matrix.T), f"weights_{number}"))
        weights.append(numpy_helper.from_array(biases, f"biases_{number}"))
        output = target if number == last else f"linear_{number}"
        nodes.append(
            helper.make_node("Gemm", [f"hidden_{number}", f"weights_{number}", f"biases_{number}"], [output])
        )
        if number < last:
            nodes.append(helper.make_node("Relu", [output], [f"hidden_{number + 1}"]))
    return nodes, weights


def _save(
    file: Path,
    nodes: list[onnx.NodeProto],
    weights: list[onnx.TensorProto],
    source: onnx.ValueInfoProto,
    target: onnx.ValueInfoProto,
) -> None:
    graph = helper.make_graph(nodes, file.stem, [source], [target], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)])
    model.ir_version = _IR_VERSION
    onnx.checker.check_model(model, full_check=True)
    file.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, file)
