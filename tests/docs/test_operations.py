"""The operations page names only what exists, and has a section for every alert."""

import re
from pathlib import Path

import pytest
import typer.main

import streamproc.inference.triton_connection
import streamproc.pipeline.shadow
import streamproc.streams.releases  # noqa: F401 - they bring metrics of their own
from streamproc.cli import app
from streamproc.config import PREFIX, Settings
from streamproc.observability.metrics import REGISTRY

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/operations.md").read_text()
RULES = ROOT / "compose/prometheus/rules.yml"

COMMAND = re.compile(r"streamproc ([a-z]+)(?: ([a-z]+))?")
VARIABLE = re.compile(rf"\b{PREFIX}([A-Z_]+)\b")
METRIC = re.compile(r"\bstreamproc_[a-z_]+\b")


def test_every_alert_has_a_section_and_every_section_an_alert():
    alerts = re.findall(r"^\s*- alert: (\w+)$", RULES.read_text(), flags=re.MULTILINE)
    sections = re.findall(r'^### <a id="(alert-\w+)"></a>(\w+)$', PAGE, flags=re.MULTILINE)
    assert sorted(name for _, name in sections) == sorted(alerts)
    assert all(anchor == f"alert-{name.lower()}" for anchor, name in sections)


def test_every_link_within_the_page_leads_somewhere():
    headings = re.findall(r"^#+ (?:<a .*</a>)?(.+)$", PAGE, flags=re.MULTILINE)
    anchors = {heading.lower().replace(" ", "-") for heading in headings} | set(
        re.findall(r'id="([^"]+)"', PAGE)
    )
    assert set(re.findall(r"\(#([^)]+)\)", PAGE)) <= anchors


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\]\(\.\./([^)#]+)\)", PAGE))))
def test_every_file_it_points_to_is_there(path):
    assert (ROOT / path).exists()


def test_every_command_exists():
    commands = typer.main.get_command(app).commands
    spans = re.findall(r"`([^`\n]+)`", PAGE) + re.findall(r"^streamproc .*$", PAGE, flags=re.MULTILINE)
    named = [found for span in spans for found in COMMAND.findall(span)]
    assert len(named) > 20
    for command, subcommand in named:
        assert command in commands, command
        group = getattr(commands[command], "commands", None)
        assert not group or not subcommand or subcommand in group, (command, subcommand)


def test_every_option_of_a_command_exists():
    commands = typer.main.get_command(app).commands
    for span in re.findall(r"`(streamproc [^`\n]+)`", PAGE) + re.findall(
        r"^(streamproc .*)$", PAGE, re.MULTILINE
    ):
        words = span.split("#")[0].split()[1:]
        command = commands[words[0]]
        if len(words) > 1 and words[1] in getattr(command, "commands", {}):
            command = command.commands[words[1]]
        known = {name for parameter in command.params for name in parameter.opts}
        options = {word for word in words if re.match(r"-[a-z-]", word)}
        assert options <= known, span


def test_every_setting_exists():
    assert {name.lower() for name in VARIABLE.findall(PAGE)} <= Settings.model_fields.keys()


def test_every_metric_exists():
    # Series carry these endings where the registry has the family's name.
    families = {family.name for family in REGISTRY.collect()}
    for name in set(METRIC.findall(PAGE)):
        assert re.sub(r"_(total|info|bucket|sum|count)$", "", name) in families, name
