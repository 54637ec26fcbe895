"""``streamproc dead``: looks into dead letters and sends them back."""

import heapq
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from streamproc.cli.moment import moment_ms
from streamproc.cli.progress import loading_progress
from streamproc.cli.running import run
from streamproc.config import Settings, load_settings
from streamproc.errors import HeaderError, SettingsError
from streamproc.events.position import SourcePosition
from streamproc.events.topics import TopicNames

if TYPE_CHECKING:  # heavy imports: a quick --help
    from streamproc.streams.dead_letters import Found, Wanted

__all__ = ["app"]

app = typer.Typer(
    help="Dead letters: records that could not be used, with the reason.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

READING = "reading dead letters"


@dataclass(frozen=True)
class _Chosen:
    """What a replay will send: positions of the letters, the topics they go to, and how many cannot be sent."""

    sendable: frozenset[SourcePosition]
    topics: frozenset[str]
    refused: int


ErrorClass = Annotated[str | None, typer.Option("--class", help="Only this class of error (DecodeError, …).")]
Stage = Annotated[str | None, typer.Option(help="Only this stage of the work (decode, tag, …).")]
Since = Annotated[str | None, typer.Option(help="Only what died since: 30m, 2h, 7d, or a date.")]


@app.command("list")
def list_letters(
    error_class: ErrorClass = None,
    stage: Stage = None,
    since: Since = None,
    limit: Annotated[int, typer.Option(help="Show the newest so many.", min=1)] = 100,
) -> None:
    """List dead letters, oldest first.

    A table on a terminal, JSON lines otherwise.

    Example: streamproc dead list --class DecodeError --since 2h
    """
    from streamproc.cli.letters import as_json, as_table  # noqa: PLC0415 - a quick --help

    settings = load_settings()
    newest, matching = run(_newest(settings, _wanted(error_class, stage, since), limit))
    if newest and sys.stdout.isatty():
        as_table(newest)
    else:
        for found in newest:
            typer.echo(as_json(found))
    if matching > len(newest):
        typer.echo(f"the newest {len(newest)} of {matching}; --limit shows more", err=True)
    elif not matching:
        typer.echo("no dead letters match" if error_class or stage or since else "no dead letters", err=True)


@app.command()
def show(
    position: Annotated[str, typer.Argument(help="Position as listed: partition/offset.")],
    *,
    raw: Annotated[bool, typer.Option("--raw", help="Write the original bytes only, unchanged.")] = False,
) -> None:
    """Show one dead letter.

    Why it died, its headers and its original bytes: as text, or as hexadecimal where they are none.

    Example: streamproc dead show 0/17

    Example: streamproc dead show 0/17 --raw > note.json
    """
    from streamproc.cli.letters import as_text  # noqa: PLC0415 - a quick --help
    from streamproc.streams.dead_letters import fetch  # noqa: PLC0415

    settings = load_settings()
    (found,) = run(fetch(settings, [_position(settings, position)]))
    if raw:
        sys.stdout.buffer.write(found.letter.value or b"")
        sys.stdout.buffer.flush()
    else:
        typer.echo(as_text(found))


@app.command()
def replay(
    positions: Annotated[
        list[str] | None, typer.Argument(help="Positions as listed: partition/offset …")
    ] = None,
    error_class: ErrorClass = None,
    stage: Stage = None,
    since: Since = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Send back every dead letter.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Send dead letters back to their topics.

    Do so once what killed them is put right. Key, bytes and headers are the original ones, with one header more (replayed-from). The dead letters themselves
    stay where they are. One that was too large to be kept whole is not sent; the exit status is 1 then.

    Example: streamproc dead replay 0/17 2/4

    Example: streamproc dead replay --class RepeatedFailureError --since 1d
    """
    filtered = error_class is not None or stage is not None or since is not None
    if [bool(positions), filtered, everything].count(True) != 1:
        raise SettingsError(
            "Say which dead letters: positions, or a filter (--class, --stage, --since), or --all."
        )
    settings = load_settings()
    given = sorted({_position(settings, text) for text in positions or []})
    chosen = run(_choose(settings, given, _wanted(error_class, stage, since)))
    if chosen.sendable and not yes and on_terminal():
        typer.confirm(
            f"send {len(chosen.sendable)} of them back to {', '.join(sorted(chosen.topics))}?",
            abort=True,
            err=True,
        )
    sent = run(_send_back(settings, given, chosen)) if chosen.sendable else 0
    typer.echo(f"dead letters sent back: {sent}", err=True)
    if chosen.refused:
        raise typer.Exit(1)


def _wanted(error_class: str | None, stage: str | None, since: str | None) -> "Wanted":
    from streamproc.streams.dead_letters import Wanted  # noqa: PLC0415 - a quick --help

    return Wanted(error_class, stage, None if since is None else moment_ms(since, datetime.now(UTC)))


def _position(settings: Settings, text: str) -> SourcePosition:
    topic = TopicNames(settings.topic_prefix).notes_dead
    full = text if text.startswith(f"{topic}/") else f"{topic}/{text}"
    try:
        position = SourcePosition.parse(full)
    except HeaderError:
        position = None
    if position is None or position.topic != topic or position.partition < 0 or position.offset < 0:
        raise SettingsError(
            f"{text!r} is no position of a dead letter: give partition/offset as 'streamproc dead list' shows it, "
            "for instance 0/17."
        )
    return position


async def _newest(settings: Settings, wanted: "Wanted", limit: int) -> tuple[list["Found"], int]:
    """The newest letters, oldest first, and how many match."""
    from streamproc.streams.dead_letters import find  # noqa: PLC0415

    newest: list[tuple[int, SourcePosition, Found]] = []
    matching = 0
    with loading_progress() as progress:
        letters = find(settings, wanted, partial(progress, READING), _foreign)
        async for found in letters:
            matching += 1
            entry = (found.timestamp_ms, found.position, found)
            if len(newest) < limit:
                heapq.heappush(newest, entry)
            else:
                heapq.heappushpop(newest, entry)
    return [found for _, _, found in sorted(newest, key=lambda entry: entry[:2])], matching


async def _each(
    settings: Settings, positions: list[SourcePosition], wanted: "Wanted"
) -> AsyncIterator["Found"]:
    """The letters at these positions or, where none is given, those that are wanted."""
    from streamproc.streams.dead_letters import fetch, find  # noqa: PLC0415 - a quick --help

    if positions:
        for found in await fetch(settings, positions):
            yield found
        return
    with loading_progress() as progress:
        async for found in find(settings, wanted, partial(progress, READING), _foreign):
            yield found


async def _choose(settings: Settings, positions: list[SourcePosition], wanted: "Wanted") -> _Chosen:
    from streamproc.streams.dead_letters import why_not_replayable  # noqa: PLC0415 - a quick --help

    sendable, topics, refused = set(), set(), 0
    async for found in _each(settings, positions, wanted):
        if reason := why_not_replayable(found):
            refused += 1
            typer.echo(f"{found.position} is not sent: {reason}", err=True)
        else:
            sendable.add(found.position)
            topics.add(found.letter.source.position.topic)
    return _Chosen(frozenset(sendable), frozenset(topics), refused)


async def _send_back(settings: Settings, positions: list[SourcePosition], chosen: _Chosen) -> int:
    from streamproc.streams.dead_letters import Wanted, replayed  # noqa: PLC0415 - a quick --help
    from streamproc.streams.publisher import Publisher  # noqa: PLC0415

    # Read again instead of kept: dead letters are large, and only those chosen are sent even if more have come.
    async with Publisher(settings, sorted(chosen.topics)) as publisher:
        async for found in _each(settings, positions, Wanted(positions=chosen.sendable)):
            if found.position in chosen.sendable:
                # The partition it came from: its producer may place keys otherwise than we do.
                await publisher.send(replayed(found), found.letter.source.position.partition)
        await publisher.flush()
        return publisher.confirmed


def _foreign(position: SourcePosition, reason: str) -> None:
    typer.echo(f"{position} is passed over: {reason}", err=True)


def on_terminal() -> bool:
    """Whether somebody is there to be asked."""
    return sys.stdin.isatty()
