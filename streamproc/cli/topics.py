"""``streamproc topics``: the topics on the broker."""

import typer

from streamproc.cli.running import run
from streamproc.config import load_settings

__all__ = ["app"]

app = typer.Typer(help="Make the Kafka topics.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _group() -> None:
    # With a single command Typer would leave its name out.
    pass


@app.command()
def create() -> None:
    """Create every topic that does not exist yet.

    Existing topics are never changed; where one differs from what streamproc wants, that is said and the exit status
    is 1. Repeating the command is harmless.

    Example: STREAMPROC_KAFKA_BOOTSTRAP=broker:9092 STREAMPROC_TOPIC_PARTITIONS=12 streamproc topics create
    """
    from streamproc.streams.admin import create_topics  # noqa: PLC0415 - a quick --help

    report = run(create_topics(load_settings()))
    for name in report.created:
        typer.echo(f"created {name}")
    for name in report.existing:
        typer.echo(f"exists  {name}")
    for one in report.differences:
        typer.echo(
            f"{one.topic}: {one.property} is {one.found or 'not set'}, wanted is {one.wanted}. It is left as it is; "
            "change it with kafka-topics.sh or kafka-configs.sh if that was not meant.",
            err=True,
        )
    if report.differences:
        raise typer.Exit(1)
