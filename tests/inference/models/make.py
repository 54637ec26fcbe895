"""Makes the two small models the tests load: python tests/inference/models/make.py (needs the train extra).

They are of the kind and size that a bundle carries, with seeded random weights: 7 evidence columns.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FEATURES = 7
HIDDEN = 32


def network(name: str, source: tuple[str, int], result: tuple[str, int], seed: int) -> onnx.ModelProto:
    (input_name, inputs), (output_name, outputs) = source, result
    rng = np.random.default_rng(seed)
    weights = {
        "w1": rng.normal(size=(inputs, HIDDEN)).astype(np.float32),
        "b1": rng.normal(size=HIDDEN).astype(np.float32),
        "w2": (rng.normal(size=(HIDDEN, outputs)) / 4).astype(np.float32),
        "b2": rng.normal(size=outputs).astype(np.float32),
    }
    last = "wide" if outputs == 1 else output_name
    nodes = [
        helper.make_node("Gemm", [input_name, "w1", "b1"], ["hidden"]),
        helper.make_node("Tanh", ["hidden"], ["active"]),
        helper.make_node("Gemm", ["active", "w2", "b2"], [last]),
    ]
    initializers = [numpy_helper.from_array(value, name=key) for key, value in weights.items()]
    shape: list[str | int] = ["rows", outputs]
    if outputs == 1:
        initializers.append(numpy_helper.from_array(np.array([1], dtype=np.int64), name="last_axis"))
        nodes.append(helper.make_node("Squeeze", ["wide", "last_axis"], [output_name]))
        shape = ["rows"]
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info(input_name, TensorProto.FLOAT, ["rows", inputs])],
        [helper.make_tensor_value_info(output_name, TensorProto.FLOAT, shape)],
        initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return model


if __name__ == "__main__":
    here = Path(__file__).parent
    onnx.save(network("tagger", ("evidence", FEATURES), ("logit", 1), seed=1), here / "tagger.onnx")
    onnx.save(
        network("calibrator", ("features", FEATURES + 1), ("logits", 2), seed=2), here / "calibrator.onnx"
    )
