"""How far a training run has come: written so that a run killed at any moment goes on from its last save."""

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from streamproc.errors import UserError

__all__ = ["Epoch", "Journal", "Progress", "fingerprint"]

_FILE = "journal.json"


class Epoch(msgspec.Struct, frozen=True):
    """What an epoch came to.

    Attributes:
        recall: Recall@10 of related notes on valid, the mean over the sets; None where none can be measured.
        loss: mean over its batches; 0 for epoch 0, the encoder as it was.
    """

    recall: float | None
    loss: float


class Progress(msgspec.Struct, frozen=True):
    """Where a run stands.

    Attributes:
        fingerprint: of the data and settings it was started with.
        epoch: the epoch under way, counted from 1.
        batches: batches of it that are done.
        loss: their sum of losses.
        epochs: those that are complete, beginning with epoch 0, the encoder as it was.
        state: the file with the weights and the optimiser; empty before the first save.
        best: the file with the weights of the best epoch; empty while there is none.
    """

    fingerprint: str
    epoch: int = 1
    batches: int = 0
    loss: float = 0.0
    epochs: tuple[Epoch, ...] = ()
    state: str = ""
    best: str = ""


class Journal:
    """The directory of a run: ``journal.json`` and the files it names.

    A file of weights gets a name of its own, the journal is replaced in one step and points to it, and
    only then are files that it no longer names removed. So the two always belong together.

    Args:
        directory: made on the first save.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def open(self, wanted: str) -> Progress:
        """Where the run with this fingerprint stands; a fresh one if it was never saved.

        Raises:
            UserError: the directory holds the run of other data or settings, or is damaged.
        """
        file = self.directory / _FILE
        try:
            found = msgspec.json.decode(file.read_bytes(), type=Progress)
        except FileNotFoundError:
            return Progress(wanted)
        except (OSError, msgspec.MsgspecError) as error:
            raise UserError(
                f"{file} cannot be read ({error}): remove {self.directory} to start anew"
            ) from None
        if found.fingerprint != wanted:
            raise UserError(
                f"{self.directory} holds an unfinished run with other data or settings: "
                "repeat the command it was started with, or remove the directory to start anew"
            )
        return found

    def save(self, progress: Progress, **files: Callable[[Path], None]) -> Progress:
        """Write files, then the journal that names them.

        Args:
            progress: where the run stands.
            files: ``state`` or ``best`` → writes that file; the name in ``progress`` is set to the new one.

        Returns:
            The progress as saved.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        for kind, write in files.items():
            name = f"{kind}-{progress.epoch}-{progress.batches}.pt"
            write(self.directory / name)
            progress = msgspec.structs.replace(progress, **{kind: name})
        scratch = self.directory / f"{_FILE}.partial"
        scratch.write_bytes(msgspec.json.encode(progress))
        scratch.replace(self.directory / _FILE)
        for file in self.directory.glob("*.pt"):
            if file.name not in {progress.state, progress.best}:
                file.unlink()
        return progress

    def file(self, name: str) -> Path:
        """The path of a file that the journal names."""
        return self.directory / name


def fingerprint(parts: Iterable[str | bytes]) -> str:
    """Hex SHA-256 over the parts, each with its length."""
    digest = hashlib.sha256()
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        digest.update(len(encoded).to_bytes(8, "little"))
        digest.update(encoded)
    return digest.hexdigest()
