"""Vectors of many texts, kept on disk: a second run over the same dataset encodes nothing."""

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from streamproc.inference.protocols import Encoder, Float32

__all__ = ["VectorCache"]

# Texts encoded at a time: long enough to keep all threads busy, short enough for a smooth progress bar.
_CHUNK = 512


class VectorCache:
    """Encodes lists of texts and keeps the result as one file a list.

    Args:
        encoder: turns texts into vectors.
        encoder_id: what tells this encoder's vectors from another's: the hash of its file.
        directory: where the files lie; made on first use.
        progress: called with the number of texts done and of all, while texts are encoded.
    """

    def __init__(
        self,
        encoder: Encoder,
        encoder_id: str,
        directory: Path,
        progress: Callable[[int, int], None] = lambda _done, _all: None,
    ) -> None:
        self._encoder = encoder
        self._encoder_id = encoder_id
        self._directory = directory.expanduser()
        self._progress = progress

    def vectors(self, texts: Sequence[str]) -> Float32:
        """The texts' vectors, float32[texts, dimension], of unit length.

        They are stored as float16, as in the graph; a file that cannot be read is made anew.
        """
        file = self._directory / f"{self._key(texts)}.npy"
        stored = _load(file, len(texts))
        if stored is None:
            stored = asyncio.run(self._encode(texts)).astype(np.float16)
            file.parent.mkdir(parents=True, exist_ok=True)
            scratch = file.with_suffix(".partial.npy")
            np.save(scratch, stored)
            scratch.replace(file)
        return stored.astype(np.float32)

    def _key(self, texts: Sequence[str]) -> str:
        digest = hashlib.sha256(self._encoder_id.encode())
        for text in texts:
            encoded = text.encode("utf-8", "surrogatepass")
            digest.update(len(encoded).to_bytes(8, "little"))
            digest.update(encoded)
        return digest.hexdigest()[:32]

    async def _encode(self, texts: Sequence[str]) -> Float32:
        vectors = np.empty((len(texts), self._encoder.dimension), dtype=np.float32)
        for start in range(0, len(texts), _CHUNK):
            chunk = texts[start : start + _CHUNK]
            vectors[start : start + len(chunk)] = (await self._encoder.encode(chunk)).vectors
            self._progress(start + len(chunk), len(texts))
        return vectors


def _load(file: Path, count: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float16]] | None:
    try:
        stored = np.load(file)
    except (OSError, ValueError, EOFError):
        return None
    return stored if len(stored) == count else None
