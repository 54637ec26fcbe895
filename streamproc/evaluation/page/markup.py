"""Pieces of the page: tables, cards, lists of terms. What goes in is text; what comes out is markup."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from streamproc.evaluation.metrics import Interval

__all__ = ["Card", "Markup", "Row", "cards", "ranged", "section", "table", "terms"]


class Markup(str):
    """Text that is markup already; everything else is escaped."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Card:
    """A figure with what it means."""

    name: str
    figure: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table.

    Attributes:
        name: its head.
        cells: the figures.
        ours: whether it is the bundle under test, which stands out.
    """

    name: str
    cells: Sequence[str]
    ours: bool = False


def cards(each: Iterable[Card]) -> str:
    """Cards side by side."""
    inner = "".join(
        f'<div><dt>{escape(card.name)}</dt><dd class="figure">{_text(card.figure)}</dd>'
        f'<dd class="said">{escape(card.meaning)}</dd></div>'
        for card in each
    )
    return f'<dl class="cards">{inner}</dl>'


def table(columns: Sequence[str], rows: Iterable[Row]) -> str:
    """A table whose first column names the rows; it scrolls sideways on a narrow screen."""
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in ("", *columns))
    body = "".join(
        f'<tr{" class=ours" if row.ours else ""}><th scope="row">{escape(row.name)}</th>'
        f"{''.join(f'<td>{_text(cell)}</td>' for cell in row.cells)}</tr>"
        for row in rows
    )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def terms(each: Iterable[tuple[str, str]]) -> str:
    """Words and what they mean."""
    inner = "".join(f"<div><dt>{escape(word)}</dt><dd>{escape(meaning)}</dd></div>" for word, meaning in each)
    return f'<dl class="words">{inner}</dl>'


def ranged(interval: Interval, digits: int = 3, *, signed: bool = True) -> Markup:
    """A figure with its 95 % range, small."""
    form = f"{'+' if signed else ''}.{digits}f"
    return Markup(
        f'{interval.mean:{form}} <span class="range">{interval.low:{form}} … {interval.high:{form}}</span>'
    )


def section(title: str, said: str, content: str) -> str:
    """A heading, a sentence that says what the figures mean, and the figures."""
    sentence = f"<p>{escape(said)}</p>" if said else ""
    return f"<section><h2>{escape(title)}</h2>{sentence}{content}</section>"


def _text(text: str) -> str:
    return text if isinstance(text, Markup) else escape(text)
