"""``streamproc doctor``: looks at every dependency and says what is wrong in a sentence."""

import sys
from typing import TYPE_CHECKING

import typer

from streamproc.cli.running import run
from streamproc.config import Settings, load_settings

if TYPE_CHECKING:  # heavy imports: a quick --help
    from streamproc.cli.checks import Finding

__all__ = ["doctor"]


def doctor() -> None:
    """Check every dependency and say what is wrong.

    These are the settings, the model bundle, Kafka, its topics, Milvus, the graph and, where it is used, Triton. Each line says ok, or what is wrong and what to do about it. Nothing is changed. The exit status is 1 if
    anything is wrong.

    Example: STREAMPROC_KAFKA_BOOTSTRAP=broker:9092 streamproc doctor
    """
    settings = load_settings()
    if not run(_examined(settings)):
        raise typer.Exit(1)


async def _examined(settings: Settings) -> bool:
    from streamproc.cli.checks import Verdict, examine  # noqa: PLC0415 - a quick --help

    healthy = True
    async for finding in examine(settings):
        healthy = healthy and finding.verdict is Verdict.OK
        _print(finding)
    return healthy


def _print(finding: "Finding") -> None:
    colours = {"ok": typer.colors.GREEN, "wrong": typer.colors.RED, "skipped": typer.colors.YELLOW}
    verdict = f"{finding.verdict:<8}"
    if sys.stdout.isatty():
        verdict = typer.style(verdict, fg=colours[finding.verdict])
    typer.echo(f"{verdict} {finding.name:<7} {finding.sentence}")
