"""The Triton backend: the same models as in process, behind the same Protocols, over gRPC.

Texts are cut into tokens on this side, so a server sees numbers only.
"""

import asyncio
from collections.abc import Sequence
from itertools import accumulate, pairwise

import numpy as np

from streamproc.config import Settings
from streamproc.errors import BundleError
from streamproc.inference.bundle import Bundle
from streamproc.inference.calibration import BoundMap
from streamproc.inference.confidence import confidences
from streamproc.inference.cores import available_cores
from streamproc.inference.manifest import EncoderSpec, TaggerSpec
from streamproc.inference.marker_tokens import MarkerTokenizer
from streamproc.inference.model_repository import (
    CALIBRATOR,
    ENCODER,
    MAX_CANDIDATE_ROWS,
    MAX_WINDOW_ROWS,
    TAGGER,
    served_models,
)
from streamproc.inference.pool import WorkPool
from streamproc.inference.protocols import Encoded, Float32, Models, Tagger, TaggingRequest
from streamproc.inference.rows import evidence_rows, judge_rows, per_request, pooled
from streamproc.inference.tokenization import TokenizedText, WindowTokenizer
from streamproc.inference.triton_connection import TritonConnection
from streamproc.inference.triton_marker import TritonMarkerTagger
from streamproc.inference.triton_together import together
from streamproc.inference.triton_windows import WindowBatch, pack

__all__ = [
    "TritonCalibrator",
    "TritonEncoder",
    "TritonTagger",
    "connect",
    "load_triton_encoder",
    "load_triton_models",
]


def connect(settings: Settings, bundle: Bundle) -> TritonConnection:
    """A connection that expects the bundle's models; nothing is sent before its first use.

    Its ``check()`` is the readiness probe: pinned versions, their weights, and an answer in time.

    Args:
        settings: address, credentials, time-out, concurrency and the pinned version.
        bundle: a verified bundle.
    """
    return TritonConnection(settings, served_models(bundle))


def load_triton_models(settings: Settings, bundle: Bundle) -> Models:
    """Encoder, tagger and calibrator of a bundle, served by Triton, on one connection.

    The server is first asked when a model is first used.

    Args:
        settings: address, credentials, time-out, concurrency and the pinned version.
        bundle: a verified bundle with all three.

    Raises:
        BundleError: the bundle has no tagger or calibrator.
    """
    tagger, calibrator = bundle.manifest.tagger, bundle.manifest.calibrator
    if tagger is None or calibrator is None:
        raise BundleError(
            f"{bundle.path} has an encoder but no trained tagger and calibrator: use a complete bundle"
        )
    encoder = load_triton_encoder(settings, bundle)
    return Models(
        encoder=encoder,
        tagger=_tagger(bundle, tagger, encoder),
        calibrator=TritonCalibrator(
            encoder.connection, calibrator.served_version, calibrator.bound_map(tagger.features)
        ),
        release=encoder.close,
    )


def _tagger(bundle: Bundle, spec: TaggerSpec, encoder: "TritonEncoder") -> Tagger:
    if spec.text is None:
        return TritonTagger(encoder.connection, spec.version, len(spec.features))
    budgets = {"note_tokens": spec.text.note_tokens, "candidate_tokens": spec.text.candidate_tokens}
    tokenizer = MarkerTokenizer(bundle.file(bundle.manifest.encoder.tokenizer), **budgets)
    return TritonMarkerTagger(
        encoder.connection, spec.version, len(spec.features), tokenizer, **budgets, pool=encoder.pool
    )


def load_triton_encoder(settings: Settings, bundle: Bundle) -> "TritonEncoder":
    """The encoder of a bundle alone; ``close()`` it after use.

    Args:
        settings: address, credentials, time-out, concurrency and the pinned version.
        bundle: a verified bundle.
    """
    spec = bundle.manifest.encoder
    tokenizer = WindowTokenizer(
        bundle.file(spec.tokenizer), window_tokens=spec.window_tokens, max_windows=spec.max_windows
    )
    pool = WorkPool(settings.inference_threads or available_cores())
    return TritonEncoder(connect(settings, bundle), tokenizer, spec, pool)


class TritonEncoder:
    """Sentence vectors; a long text's is the normalised mean of its windows' vectors.

    Args:
        connection: to the server.
        tokenizer: cuts texts into windows.
        spec: the manifest's description of the encoder.
        pool: runs the tokenizer off the event loop.
    """

    def __init__(
        self, connection: TritonConnection, tokenizer: WindowTokenizer, spec: EncoderSpec, pool: WorkPool
    ) -> None:
        self.connection = connection
        self.dimension = spec.dimension
        self.weights_hash = spec.float_sha256
        self._window_tokens = spec.window_tokens
        self._tokenizer = tokenizer
        self.pool = pool

    async def encode(self, texts: Sequence[str]) -> Encoded:
        """Vectors of the texts, in their order."""
        tokenized = await self._tokenized(texts)
        windows = [window for text in tokenized for window in text.windows]
        rows = np.empty((len(windows), self.dimension), dtype=np.float32)

        async def fill(batch: WindowBatch) -> None:
            inputs = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}
            rows[list(batch.positions)] = await self.connection.infer(ENCODER, inputs)

        batches = pack(windows, window_tokens=self._window_tokens, max_rows=MAX_WINDOW_ROWS)
        await together([fill(batch) for batch in batches])
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        ends = accumulate((len(text.windows) for text in tokenized), initial=0)
        for position, (start, end) in enumerate(pairwise(ends)):
            vectors[position] = pooled(rows[start:end])
        return Encoded(vectors, np.array([text.truncated for text in tokenized], dtype=np.bool_))

    async def close(self) -> None:
        """Close the connection and end the threads."""
        await self.connection.close()
        await asyncio.to_thread(self.pool.close)

    async def _tokenized(self, texts: Sequence[str]) -> list[TokenizedText]:
        tokenized: dict[int, TokenizedText] = {}

        def work(position: int) -> None:
            tokenized[position] = self._tokenizer.tokenize(texts[position])

        await self.pool.run(work, costs=[len(text) for text in texts])
        return [tokenized[position] for position in range(len(texts))]


class TritonTagger:
    """Logits from the evidence of each candidate.

    Args:
        connection: to the server.
        version: of the model, as the bundle names it.
        features: how many columns of the evidence it reads: the first ones.
    """

    def __init__(self, connection: TritonConnection, version: str, features: int) -> None:
        self._connection = connection
        self._features = features
        self.version = version

    async def score(self, requests: Sequence[TaggingRequest]) -> list[Float32]:
        """One array a request: logit float32[candidates]."""
        if not requests:
            return []
        evidence = evidence_rows(requests, self._features)
        rows = await _infer_rows(self._connection, TAGGER, "evidence", evidence)
        return per_request(rows.reshape(-1), requests)


class TritonCalibrator:
    """Confidences from the evidence of each candidate and the tagger's logit.

    Args:
        connection: to the server.
        version: of the model, as the bundle names it.
        calibration: the map fitted on this very model; applied on this side.
    """

    def __init__(self, connection: TritonConnection, version: str, calibration: BoundMap) -> None:
        self._connection = connection
        self._calibration = calibration
        self.version = version

    async def judge(self, requests: Sequence[TaggingRequest], logits: Sequence[Float32]) -> list[Float32]:
        """One array a request: confidence float32[candidates] within (0, 1)."""
        if not requests:
            return []
        features = judge_rows(requests, logits, len(self._calibration.columns))
        yes_no = await _infer_rows(self._connection, CALIBRATOR, "features", features)
        return per_request(confidences(yes_no.reshape(-1, 2), self._calibration, requests), requests)


async def _infer_rows(connection: TritonConnection, model: str, name: str, rows: Float32) -> Float32:
    """The model's output for any number of rows, as many a request as it takes."""
    starts = range(0, len(rows), MAX_CANDIDATE_ROWS)
    answers = await together(
        [connection.infer(model, {name: rows[start : start + MAX_CANDIDATE_ROWS]}) for start in starts]
    )
    return np.concatenate(answers) if answers else np.empty(0, dtype=np.float32)
