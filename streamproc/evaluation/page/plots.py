"""Plots as inline SVG: reliability and risk–coverage. Colours come from the page's style, so dark mode and print work."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, sqrt

from streamproc.evaluation.metrics import Bin, Point

__all__ = ["Series", "reliability_plot", "risk_coverage_plot"]

_WIDTH, _HEIGHT = 360, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 20, 12, 40
_MOST_STEPS = 6.5
_WITHIN_95 = 1.96


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a plot.

    Attributes:
        name: of the method.
        style: class of the page's style that gives its colour: ``s0``, ``s1`` …
    """

    name: str
    style: str


@dataclass(frozen=True, slots=True)
class _Axes:
    """From figures to places; both axes are shown in per cent."""

    left: float
    right: float
    bottom: float
    top: float

    def x(self, value: float) -> float:
        width = _WIDTH - _LEFT - _RIGHT
        return _LEFT + width * (value - self.left) / (self.right - self.left)

    def y(self, value: float) -> float:
        height = _HEIGHT - _TOP - _BOTTOM
        return _HEIGHT - _BOTTOM - height * (value - self.bottom) / (self.top - self.bottom)

    def frame(self, across: str, upward: str) -> str:
        parts = []
        for value in _ticks(self.left, self.right):
            x = self.x(value)
            parts.append(
                f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}"/>'
            )
            parts.append(
                f'<text x="{x:.1f}" y="{_HEIGHT - _BOTTOM + 15}" text-anchor="middle">{_percent(value)}</text>'
            )
        for value in _ticks(self.bottom, self.top):
            y = self.y(value)
            parts.append(
                f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            )
            parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_percent(value)}</text>')
        middle_x, middle_y = (_LEFT + _WIDTH - _RIGHT) / 2, (_TOP + _HEIGHT - _BOTTOM) / 2
        parts.append(
            f'<text class="axis" x="{middle_x}" y="{_HEIGHT - 6}" text-anchor="middle">{escape(across)}</text>'
        )
        parts.append(
            f'<text class="axis" x="10" y="{middle_y}" text-anchor="middle" '
            f'transform="rotate(-90 10 {middle_y})">{escape(upward)}</text>'
        )
        return "".join(parts)


def reliability_plot(lines: Sequence[tuple[Series, Sequence[Bin]]]) -> str:
    """Share of right tags against confidence, bin by bin; the first series with the 95 % range of each bin.

    Args:
        lines: of several methods, the most important first.
    """
    bins = [each for _, of in lines for each in of]
    lowest = min((min(each.confidence, each.right) for each in bins), default=0.5)
    start = max(floor(min(lowest, 0.5) * 10) / 10, 0.0)
    axes = _Axes(0.5, 1.0, start, 1.0)
    parts = [axes.frame("confidence", "share that is right")]
    parts.append(
        f'<line class="ideal" x1="{axes.x(0.5):.1f}" y1="{axes.y(0.5):.1f}" '
        f'x2="{axes.x(1):.1f}" y2="{axes.y(1):.1f}"/>'
    )
    for place, (series, of) in reversed(list(enumerate(lines))):
        if place == 0:
            parts += [_whisker(axes, each, series.style) for each in of]
        parts.append(_line(series, [(axes.x(each.confidence), axes.y(each.right)) for each in of]))
        if place == 0:
            parts += [
                f'<circle class="{series.style}" cx="{axes.x(each.confidence):.1f}" '
                f'cy="{axes.y(each.right):.1f}" r="3.5"><title>{each.tags:,} tags at {each.confidence:.1%}: '
                f"{each.right:.1%} right</title></circle>"
                for each in of
            ]
    return _svg("Share of right tags against confidence", parts)


def risk_coverage_plot(lines: Sequence[tuple[Series, Sequence[Point]]], *, accepted: str) -> str:
    """Share of wrong ones among the accepted, against how many are accepted; a ring marks the threshold .5.

    Args:
        lines: of several methods, the most important first.
        accepted: what is accepted, as the axis names it.
    """
    highest = max((each.risk for _, of in lines for each in of), default=0.1)
    axes = _Axes(0.0, 1.0, 0.0, max(ceil(highest * 10) / 10, 0.1))
    parts = [axes.frame(f"share of {accepted} accepted", "share of these that is wrong")]
    for place, (series, of) in reversed(list(enumerate(lines))):
        parts.append(_line(series, [(axes.x(each.coverage), axes.y(each.risk)) for each in of]))
        emitted = [each for each in of if each.threshold >= 0.5]
        if place == 0 and emitted:
            last = emitted[-1]
            parts.append(
                f'<circle class="ring" cx="{axes.x(last.coverage):.1f}" cy="{axes.y(last.risk):.1f}" r="5">'
                f"<title>confidence .5: {last.coverage:.1%} accepted, {last.risk:.1%} wrong</title></circle>"
            )
    return _svg(f"Risk against coverage of {accepted}", parts)


def _whisker(axes: _Axes, each: Bin, style: str) -> str:
    # Wilson's interval: it stays within 0 and 1 and is not empty where all are right.
    n, p, z = each.tags, each.right, _WITHIN_95
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    low, high = (min(max(end, axes.bottom), axes.top) for end in (centre - half, centre + half))
    x = axes.x(each.confidence)
    return f'<line class="whisker {style}" x1="{x:.1f}" x2="{x:.1f}" y1="{axes.y(low):.1f}" y2="{axes.y(high):.1f}"/>'


def _line(series: Series, places: Sequence[tuple[float, float]]) -> str:
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    return (
        f'<polyline class="{series.style}" points="{points}"><title>{escape(series.name)}</title></polyline>'
    )


def _ticks(low: float, high: float) -> list[float]:
    """Three to seven round places between the ends, both included."""
    step = next(step for step in (0.02, 0.05, 0.1, 0.2, 0.5) if (high - low) / step <= _MOST_STEPS)
    return [low + step * place for place in range(round((high - low) / step) + 1)]


def _percent(value: float) -> str:
    return f"{value * 100:.0f} %"


def _svg(title: str, parts: Sequence[str]) -> str:
    return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}">{"".join(parts)}</svg>'
