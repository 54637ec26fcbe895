"""Outlying activations move to the weights: the float encoder stays the same, int8 keeps more of it."""

import numpy as np
import pytest

pytest.importorskip("onnx", reason="the extra 'train' is not installed")

import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime import InferenceSession
from onnxruntime.quantization import quantize_dynamic

from streamproc.inference.triton_float_form import float_form
from streamproc.training.smoothing import smooth

WORDS, WIDTH, OUT = 50, 64, 16
OUTLIER = 3

RANDOM = np.random.default_rng(0)


@pytest.fixture
def encoder(tmp_path):
    """Words are looked up and two products read them; one channel reaches forty times as far as the others."""
    table = RANDOM.normal(size=(WORDS, WIDTH)).astype(np.float32)
    table[:, OUTLIER] *= 40
    weights = {
        "table": table,
        "shift": np.zeros(WIDTH, dtype=np.float32),
        "left": RANDOM.normal(size=(WIDTH, OUT)).astype(np.float32),
        "right": RANDOM.normal(size=(WIDTH, OUT)).astype(np.float32),
    }
    for name in ("left", "right"):
        weights[name][OUTLIER] /= 40
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["table", "input_ids"], ["looked_up"]),
            helper.make_node("Add", ["looked_up", "shift"], ["words"]),
            helper.make_node("Cast", ["attention_mask"], ["masked"], to=TensorProto.FLOAT),
            helper.make_node("Unsqueeze", ["masked", "last"], ["mask"]),
            helper.make_node("MatMul", ["words", "left"], ["by_left"]),
            helper.make_node("MatMul", ["words", "right"], ["by_right"]),
            helper.make_node("Add", ["by_left", "by_right"], ["sum"]),
            helper.make_node("Mul", ["sum", "mask"], ["embedding"]),
        ],
        "encoder",
        [
            helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"])
            for name in ("input_ids", "attention_mask")
        ],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", "tokens", OUT])],
        [
            *(numpy_helper.from_array(array, name=name) for name, array in weights.items()),
            numpy_helper.from_array(np.array([2], dtype=np.int64), name="last"),
        ],
    )
    file = tmp_path / "float.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), file)
    return file


def sequences(count):
    return [RANDOM.integers(0, WORDS, size=(1, length)) for length in range(4, 4 + count)]


def outputs(model, ids):
    session = InferenceSession(model if isinstance(model, bytes) else str(model))
    return session.run(["embedding"], {"input_ids": ids, "attention_mask": np.ones_like(ids)})[0]


def error_of_int8(file, tmp_path):
    """Largest difference between the int8 form and the same weights in float."""
    quantized = tmp_path / "int8.onnx"
    quantize_dynamic(file, quantized, per_channel=True, reduce_range=True)
    return max(
        np.abs(outputs(quantized, ids) - outputs(float_form(quantized), ids)).max() for ids in sequences(8)
    )


def test_the_smoothed_encoder_computes_the_same(encoder, tmp_path):
    smooth(encoder, tmp_path / "smoothed.onnx", sequences(20))
    for ids in sequences(5):
        expected = outputs(encoder, ids)
        assert outputs(tmp_path / "smoothed.onnx", ids) == pytest.approx(expected, abs=1e-4)


def test_int8_comes_much_closer_to_float(encoder, tmp_path):
    before = error_of_int8(encoder, tmp_path)
    smooth(encoder, tmp_path / "smoothed.onnx", sequences(20))
    assert error_of_int8(tmp_path / "smoothed.onnx", tmp_path) < before / 5


def test_products_of_one_input_share_its_factors_and_ordinary_channels_keep_theirs(encoder, tmp_path):
    smooth(encoder, tmp_path / "smoothed.onnx", sequences(20))
    graph = onnx.load(tmp_path / "smoothed.onnx").graph
    (factors,) = (numpy_helper.to_array(each) for each in graph.initializer if each.name == "words_factors")
    assert factors[OUTLIER] < 1 / 20
    assert (np.delete(factors, OUTLIER) > 0.5).all()
    assert (factors == 1).sum() > WIDTH / 2
    assert len({node.input[0] for node in graph.node if node.op_type == "MatMul"}) == 1


def test_a_channel_that_never_moves_is_left_alone(encoder, tmp_path):
    model = onnx.load(encoder)
    table = next(each for each in model.graph.initializer if each.name == "table")
    still = numpy_helper.to_array(table).copy()
    still[:, : WIDTH // 2 + 10] = 0
    table.CopyFrom(numpy_helper.from_array(still, name="table"))
    onnx.save(model, encoder)
    smooth(encoder, tmp_path / "smoothed.onnx", sequences(20))
    ids = sequences(1)[0]
    assert outputs(tmp_path / "smoothed.onnx", ids) == pytest.approx(outputs(encoder, ids), abs=1e-4)
