# Triton loads each copy of this file on its own, outside any package.
# ruff: noqa: E402, INP001, RUF100
"""What Triton's python backend runs: one ONNX file of a bundle on the CPU.

``streamproc export triton`` copies this file into every model of the CPU profile, so it may import
nothing of streamproc. It needs onnxruntime in the Python that the backend uses.

The bundle is the directory named by ``STREAMPROC_BUNDLE``, or else the model's parameter ``bundle.<version>``,
relative to the model repository. ``STREAMPROC_INFERENCE_THREADS`` limits the threads of one model.
"""

import hashlib
import json
import os
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

# Read when the library is loaded: nothing is sent to its makers.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime  # type: ignore[import-untyped,unused-ignore]
import triton_python_backend_utils as pb_utils  # type: ignore[import-not-found,unused-ignore]

MASK = "attention_mask"
CANDIDATES = "candidate_ids"


class TritonPythonModel:
    """One model in one process; its name and methods are what Triton looks for."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the ONNX file that this version's parameters name, once its hash is right.

        Args:
            args: of Triton: the configuration as JSON, the model's directory and version.
        """
        config = json.loads(args["model_config"])
        parameters = {name: value["string_value"] for name, value in config["parameters"].items()}
        version = args["model_version"]
        repository = Path(args["model_repository"]).parent
        bundle = Path(
            os.environ.get("STREAMPROC_BUNDLE") or repository / parameters[f"bundle.{version}"]
        ).resolve()
        file = bundle / parameters[f"file.{version}"]
        if not file.is_file():
            raise pb_utils.TritonModelException(
                f"{file} is missing: set STREAMPROC_BUNDLE to the directory of the model bundle"
            )
        if hashlib.sha256(file.read_bytes()).hexdigest() != parameters[f"sha256.{version}"]:
            raise pb_utils.TritonModelException(
                f"{file} is not the file this model repository was made for: run `streamproc export triton`"
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        self._inputs = [value["name"] for value in config["input"]]
        self._output = config["output"][0]
        threads = int(os.environ.get("STREAMPROC_INFERENCE_THREADS") or 0)
        self._threads = ThreadPoolExecutor(threads or len(os.sched_getaffinity(0)))

    def execute(self, requests: list[Any]) -> list[Any]:
        """One response a request; sequences run one at a time without their padding, on all threads.

        Args:
            requests: of one or of several clients, as Triton's dynamic batcher gathered them.
        """
        started = [self._start(request) for request in requests]
        return [self._response(runs) for runs in started]

    def finalize(self) -> None:
        """End the threads."""
        self._threads.shutdown()

    def _start(self, request: Any) -> list[Future[Any]]:
        values = {name: pb_utils.get_input_tensor_by_name(request, name).as_numpy() for name in self._inputs}
        # Dynamic int8 scales activations over the whole input: rows run together would change one another.
        if MASK in values:
            lengths = values[MASK].sum(axis=1)
            return [
                self._threads.submit(
                    self._run, {name: value[row : row + 1, :length] for name, value in values.items()}
                )
                for row, length in enumerate(lengths)
            ]
        if CANDIDATES in values:
            return [
                self._threads.submit(self._run_note, values, row) for row in range(len(values[CANDIDATES]))
            ]
        return [self._threads.submit(self._run, values)]

    def _run_note(self, values: dict[str, Any], row: int) -> Any:
        """One note and its candidates without their padding, id 0; the answer is padded again."""
        note_ids, candidate_ids, evidence = (
            values[name][row : row + 1] for name in ("note_ids", CANDIDATES, "evidence")
        )
        present = candidate_ids != 0
        count, tokens = present.any(axis=2).sum(), present.any(axis=1).sum()
        answer = self._run(
            {
                "note_ids": note_ids[:, : (note_ids != 0).sum()],
                CANDIDATES: candidate_ids[:, :count, :tokens],
                "evidence": evidence[:, :count],
            }
        )
        return np.pad(answer, ((0, 0), (0, candidate_ids.shape[1] - count)))

    def _run(self, values: dict[str, Any]) -> Any:
        return self._session.run([self._output["name"]], values)[0]

    def _response(self, runs: list[Future[Any]]) -> Any:
        try:
            rows = np.concatenate([run.result() for run in runs])
        except Exception as error:  # noqa: BLE001 - onnxruntime raises many classes; each belongs to one request
            return pb_utils.InferenceResponse(error=pb_utils.TritonError(f"onnxruntime: {error}"))
        # Triton has no tensor without dimensions beside the batch: a number a row travels as [rows, 1].
        rows = rows.reshape(len(rows), *(int(size) for size in self._output["dims"]))
        return pb_utils.InferenceResponse(output_tensors=[pb_utils.Tensor(self._output["name"], rows)])
