"""What a person sees of ``streamproc demo``: a line or two a note, and the figures at the end."""

from textwrap import shorten

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from streamproc.events.note import Note
from streamproc.events.tagged import EmittedTag, NoteOutcome, NoteTagged, RecallPath
from streamproc.streams.dead_letter import DeadLetter
from streamproc.streams.demonstration import Seen
from streamproc.streams.tally import Summary

__all__ = ["DemoView"]

PATH_WORDS = {
    RecallPath.C2T: "similar tag",
    RecallPath.C2C2T: "similar notes",
    RecallPath.LEXICAL: "words",
}
HEADING_CHARS = 60
SURE = 0.8
"""From here on a confidence is shown in green."""


class _PipedConsole(Console):
    """A console that says when its reader is gone; rich would end the program where it stands."""

    def on_broken_pipe(self) -> None:
        """End the demonstration in good order: the command line knows this error."""
        self.quiet = True
        raise BrokenPipeError


class DemoView:
    """Prints outcomes as they come; colours on a terminal, plain lines otherwise."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or _PipedConsole(highlight=False, soft_wrap=True)
        self._headings: dict[str, str] = {}

    def loaded(self, tags: int, notes: int) -> None:
        """Say what the graph begins with."""
        self._console.print(f"[dim]graph: {tags:,} tags, {notes:,} labelled notes[/]")

    def ready(self, seconds: float) -> None:
        """Say that the stream begins."""
        self._console.print(f"[dim]broker, worker and models are up after {seconds:.1f} s; notes flow[/]")

    def published(self, note: Note) -> None:
        """Remember how the note begins, to show it beside its tags."""
        self._headings[note.note_id] = shorten(note.title or note.text, HEADING_CHARS, placeholder=" …")

    def invite(self) -> None:
        """Ask for notes of the person's own."""
        self._console.print("\n[bold]Type a note and press Enter; an empty line ends the demo.[/]")

    def show(self, seen: Seen) -> None:
        """Print one outcome."""
        match seen.event:
            case NoteTagged() as tagged:
                self._show_tagged(tagged)
            case DeadLetter() as letter:
                self._console.print(
                    f"[red]✗ {escape(seen.key or '(no key)')}[/] dead letter: {escape(letter.message)} "
                    f"[dim]({letter.exception})[/]"
                )
            case None:
                self._console.print(f"[yellow]⌫ {escape(seen.key)}[/] deleted")

    def finish(self, summary: Summary) -> None:
        """Print the figures."""
        table = Table(title="summary", show_header=False, title_justify="left")
        table.add_column(style="dim")
        table.add_column(justify="right")
        table.add_row("notes in", f"{summary.notes_in:,}")
        table.add_row(
            "= tagged + deleted + dead", f"{summary.tagged:,} + {summary.deleted:,} + {summary.dead:,}"
        )
        table.add_row("tags a note", f"{summary.tags_per_note:.2f}")
        table.add_row("notes a second", f"{summary.notes_per_second:,.1f}")
        table.add_row("produce to tagged, p50 / p99", f"{summary.p50_ms:.0f} ms / {summary.p99_ms:.0f} ms")
        table.add_row("start-up", f"{summary.start_up_seconds:.1f} s")
        self._console.print(table)

    def _show_tagged(self, tagged: NoteTagged) -> None:
        heading = self._headings.get(tagged.note_id, "")
        name = f"[dim]{escape(tagged.note_id)}[/] [bold]{escape(heading)}[/]"
        if tagged.outcome is NoteOutcome.UNSUPPORTED_LANGUAGE:
            self._console.print(f"[yellow]– {name}[/] in a language that the models do not read")
        elif not tagged.tags and not tagged.review:
            self._console.print(f"[dim]○ {name} no tag is sure enough[/]")
        else:
            self._console.print(f"[green]✓[/] {name}")
            self._console.print(f"    {', '.join(map(_tag, (*tagged.tags, *tagged.review)))}")
            if tagged.tags:
                self._console.print(f"    [dim]{escape(_reason(tagged.tags[0]))}[/]")


def _tag(tag: EmittedTag) -> str:
    colour = "green" if tag.confidence >= SURE else "cyan"
    return f"[{colour}]{escape(tag.name)}[/] {tag.confidence:.2f}"


def _reason(tag: EmittedTag) -> str:
    """Why the first tag was chosen, in a sentence."""
    evidence = tag.evidence
    parts = [f"{tag.name}: by {' and '.join(PATH_WORDS[path] for path in tag.paths)}"]
    if evidence.match:
        parts.append(f"the note says “{evidence.match}”")
    if evidence.neighbours:
        nearest = evidence.neighbours[0]
        parts.append(f"nearest note with it: {nearest.note_id} ({nearest.similarity:.2f})")
    if evidence.similarity is not None:
        parts.append(f"similarity to the tag {evidence.similarity:.2f}")
    return "; ".join(parts)
