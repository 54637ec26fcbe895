"""What rules and dashboards ask of Prometheus."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

__all__ = ["Expression", "dashboards", "from_dashboards", "from_rules", "metrics_of"]

OURS = re.compile(r"\b(?:streamproc|nv|kafka|process)_[a-z0-9_]+\b|\bup\b")


@dataclass(frozen=True)
class Expression:
    """An expression and where it stands."""

    place: str
    text: str


def dashboards(folder: Path) -> dict[str, Any]:
    """The dashboards of a folder by file name."""
    return {file.name: json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))}


def from_dashboards(folder: Path) -> list[Expression]:
    """Every expression of every panel, Grafana's variables filled in."""
    return [
        Expression(f"{name}: {panel['title']}", target["expr"].replace("$__rate_interval", "1m"))
        for name, dashboard in dashboards(folder).items()
        for panel in dashboard["panels"]
        for target in panel["targets"]
    ]


def from_rules(file: Path) -> list[Expression]:
    """The expression of every alert."""
    groups = yaml.safe_load(file.read_text())["groups"]
    return [Expression(rule["alert"], rule["expr"]) for group in groups for rule in group["rules"]]


def metrics_of(expression: Expression) -> set[str]:
    """The names of the metrics that an expression reads."""
    without_labels = re.sub(r"\{[^}]*\}|\bby \([^)]*\)|\bon \([^)]*\)", " ", expression.text)
    return set(OURS.findall(without_labels))
