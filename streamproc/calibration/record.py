"""A fitted map with its figures: a calibration file that also says what it was fitted to and what it brought."""

from pathlib import Path

import msgspec

from streamproc.calibration.choice import Fitted
from streamproc.calibration.figures import Figures
from streamproc.calibration.gate import GateFigures
from streamproc.inference.calibration_file import CalibrationFile
from streamproc.whole_file import write_whole

__all__ = ["CalibrationRecord", "in_words", "read_record", "record_of", "write_record"]


class CalibrationRecord(CalibrationFile, frozen=True):
    """A calibration file with its story.

    Attributes:
        form: of the map; empty where that of the bundle stays, with or without a gate behind it.
        notes: how many labelled notes it was fitted to.
        before: figures of the bundle's map, on these notes.
        after: figures of this map, on notes that were held out.
        gate: figures of its gate; None: it has none.
    """

    form: str
    notes: int
    before: Figures
    after: Figures
    gate: GateFigures | None = None

    @property
    def changes(self) -> bool:
        """Whether confidences are others than the bundle's."""
        return bool(self.form) or self.gate is not None


def record_of(fitted: Fitted, models: str) -> CalibrationRecord:
    """The record of a fit on these models."""
    return CalibrationRecord(
        models, fitted.calibration, fitted.form, fitted.notes, fitted.before, fitted.after, fitted.gate
    )


def write_record(record: CalibrationRecord, file: Path) -> None:
    """Write a calibration file; whoever reads it meanwhile finds the old one or the new one.

    Raises:
        InputFileError: it cannot be written.
    """
    write_whole(file, msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n")


def read_record(file: Path) -> CalibrationRecord | None:
    """What :func:`write_record` wrote; None: there is none that can be read."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=CalibrationRecord)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None


def in_words(record: CalibrationRecord) -> str:
    """The record as a sentence for people."""
    if not record.changes:
        return (
            f"confidences are the bundle's: no map was better on {record.notes:,} labelled notes "
            f"({_figures(record.before)})"
        )
    return (
        f"confidences fitted to {record.notes:,} labelled notes ({_form(record)}): from .5 on {_figures(record.after)}; "
        f"with the bundle's map {_figures(record.before)}{_gate(record.gate)}"
    )


def _form(record: CalibrationRecord) -> str:
    form = record.form or "the bundle's map"
    return form if record.gate is None else f"{form}, and a gate"


def _gate(gate: GateFigures | None) -> str:
    if gate is None:
        return ""
    return (
        f". Of notes whose tags were taken away {gate.untagged:.0%} get none ({gate.untagged_before:.0%} without the "
        f"gate); {gate.lost:.1%} of the others lose a right one"
    )


def _figures(figures: Figures) -> str:
    return (
        f"{figures.tags_a_note:.2f} tags a note, {figures.right:.3f} of them right "
        f"at a mean confidence of {figures.confidence:.3f}"
    )
