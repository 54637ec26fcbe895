"""A bundle with a tagger that reads the text: exact arithmetic on ids and evidence in place of a network."""

from pathlib import Path

import msgspec
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from streamproc.inference.bundle import Bundle, write_manifest
from streamproc.inference.manifest import ReadText

NOTE_TOKENS = 24
CANDIDATE_TOKENS = 8
SCALE = np.float32(1e-4)


def expected_logits(note_ids: np.ndarray, candidate_ids: np.ndarray, evidence: np.ndarray) -> np.ndarray:
    """float32[candidates]: what the model makes of one note."""
    return evidence.sum(axis=-1) + SCALE * (candidate_ids.sum(axis=-1) + note_ids.sum())


def with_marker_tagger(path: Path) -> Bundle:
    """The bundle at the path, its tagger replaced."""
    bundle = Bundle.load(path)
    tagger = bundle.manifest.tagger
    _write(path / "marker.onnx", len(tagger.features))
    spec = msgspec.structs.replace(tagger, file="marker.onnx", text=ReadText(NOTE_TOKENS, CANDIDATE_TOKENS))
    return Bundle(path, write_manifest(path, msgspec.structs.replace(bundle.manifest, tagger=spec)))


def _write(file: Path, features: int) -> None:
    nodes = [
        helper.make_node("Cast", ["note_ids"], ["note"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["candidate_ids"], ["candidates"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["note", "second"], ["note_sum"], keepdims=1),
        helper.make_node("ReduceSum", ["candidates", "third"], ["candidate_sum"], keepdims=0),
        helper.make_node("ReduceSum", ["evidence", "third"], ["evidence_sum"], keepdims=0),
        helper.make_node("Add", ["note_sum", "candidate_sum"], ["ids"]),
        helper.make_node("Mul", ["ids", "scale"], ["scaled"]),
        helper.make_node("Add", ["scaled", "evidence_sum"], ["logit"]),
    ]
    graph = helper.make_graph(
        nodes,
        "marker",
        [
            helper.make_tensor_value_info("note_ids", TensorProto.INT64, ["batch", "tokens"]),
            helper.make_tensor_value_info(
                "candidate_ids", TensorProto.INT64, ["batch", "candidates", "candidate_tokens"]
            ),
            helper.make_tensor_value_info("evidence", TensorProto.FLOAT, ["batch", "candidates", features]),
        ],
        [helper.make_tensor_value_info("logit", TensorProto.FLOAT, ["batch", "candidates"])],
        [
            numpy_helper.from_array(np.array([1], dtype=np.int64), "second"),
            numpy_helper.from_array(np.array([2], dtype=np.int64), "third"),
            numpy_helper.from_array(SCALE, "scale"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, file)
