"""What a teacher labelled, as a file, and what a person is told of it."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from streamproc.cli.bundles import say
from streamproc.errors import UserError

if TYPE_CHECKING:  # heavy imports: a quick --help
    from streamproc.evaluation.dataset import LabelledNote
    from streamproc.training.distill import TaughtSet

__all__ = ["write_labels"]


def write_labels(
    output: Path, taught: "TaughtSet", notes: "Sequence[LabelledNote]", teacher: str, used: str = ""
) -> None:
    """Write a teacher's labels, and say how they go together with people's.

    Args:
        output: the file; it appears complete or not at all.
        taught: the labels.
        notes: the notes of the file that was labelled, with people's labels.
        teacher: its name.
        used: what is to be added on what that took.

    Raises:
        UserError: there are none.
        InputFileError: the file cannot be written.
    """
    from streamproc.training.distill import agreement  # noqa: PLC0415 - a quick --help
    from streamproc.training.teacher_labels import write_taught_notes  # noqa: PLC0415

    listed = "".join(f", {count:,} {reason}" for reason, count in sorted(taught.skipped.items()))
    if not taught.notes:
        raise UserError(f"{teacher} labelled none of the notes{listed}; {output} was not written")
    write_taught_notes(output, taught.notes)
    agreed = agreement(taught, notes)
    if agreed is not None:
        say(
            f"tags that people gave these notes have a probability of {agreed.chosen:.2f} on average, other "
            f"candidates {agreed.others:.2f}"
        )
    say(f"{output}: {len(taught.notes):,} notes labelled by {teacher}{listed}{used}")
