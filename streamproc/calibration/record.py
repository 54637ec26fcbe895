"""A fitted map with its figures: a calibration file that also says what it was fitted to and what it brought."""

from pathlib import Path

import msgspec

from streamproc.calibration.choice import Fitted
from streamproc.calibration.figures import Figures
from streamproc.inference.calibration_file import CalibrationFile

__all__ = ["CalibrationRecord", "in_words", "read_record", "record_of", "write_record"]


class CalibrationRecord(CalibrationFile, frozen=True):
    """A calibration file with its story.

    Attributes:
        form: of the map; empty where that of the bundle stays.
        notes: how many labelled notes it was fitted to.
        before: figures of the bundle's map, on these notes.
        after: figures of this map, on notes that were held out.
    """

    form: str
    notes: int
    before: Figures
    after: Figures


def record_of(fitted: Fitted, models: str) -> CalibrationRecord:
    """The record of a fit on these models."""
    return CalibrationRecord(
        models, fitted.calibration, fitted.form, fitted.notes, fitted.before, fitted.after
    )


def write_record(record: CalibrationRecord, file: Path) -> None:
    """Write it whole: whoever reads the file meanwhile finds the old one or the new one."""
    scratch = file.with_name(f"{file.name}.partial")
    scratch.write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n")
    scratch.replace(file)


def read_record(file: Path) -> CalibrationRecord | None:
    """What :func:`write_record` wrote; None: there is none that can be read."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=CalibrationRecord)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None


def in_words(record: CalibrationRecord) -> str:
    """The record as a sentence for people."""
    if not record.form:
        return (
            f"confidences are the bundle's: no map was better on {record.notes:,} labelled notes "
            f"({_figures(record.before)})"
        )
    return (
        f"confidences fitted to {record.notes:,} labelled notes ({record.form}): from .5 on {_figures(record.after)}; "
        f"with the bundle's map {_figures(record.before)}"
    )


def _figures(figures: Figures) -> str:
    return (
        f"{figures.tags_a_note:.2f} tags a note, {figures.right:.3f} of them right "
        f"at a mean confidence of {figures.confidence:.3f}"
    )
