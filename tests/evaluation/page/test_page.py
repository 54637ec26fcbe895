import re
from html.parser import HTMLParser

import msgspec
import pytest

from streamproc.evaluation.page import page
from streamproc.evaluation.protocol import Studies, Subject, evaluate
from streamproc.graph.thresholds import FITTED
from tests.evaluation.worlds import MODELS

VOID = {"meta", "link", "br", "line", "circle", "polyline"}


class Outline(HTMLParser):
    """Checks that every element is closed in order; collects headings, text of cells and attributes."""

    def __init__(self):
        super().__init__()
        self.open, self.headings, self.links, self.svgs = [], [], [], 0

    def handle_starttag(self, tag, attrs):
        self.links += [value for name, value in attrs if name in {"src", "href"}]
        self.svgs += tag == "svg"
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)


@pytest.fixture(scope="module")
def report(hobbies, bag_cache):
    return evaluate(
        hobbies,
        Subject("general-1", MODELS, FITTED),
        trees=(),
        studies=Studies(ablations=True, new_tags=0.3, out_of_scope=2),
        cache=bag_cache,
    )


def outline(html):
    parsed = Outline()
    parsed.feed(html)
    assert not parsed.open
    return parsed


def test_the_page_is_complete_in_itself(report):
    html = page(report)
    assert outline(html).links == []
    assert not re.search(r"https?://|@import|url\(|<script", html)


def test_every_section_has_its_heading_and_plots(report):
    parsed = outline(page(report))
    assert parsed.svgs == 3
    assert parsed.headings == [
        "Are the right tags among the candidates?",
        "Do they stand in front?",
        "What does a consumer receive?",
        "Can a confidence be relied on?",
        "Common and rare tags",
        "Tags that nobody has used yet",
        "Notes that belong to no tag",
        "What each part is worth",
        "The figures in words",
    ]


def test_studies_that_were_not_made_have_no_section(report):
    bare = msgspec.structs.replace(report, ablations=(), new_tags=(), out_of_scope=())
    assert len(outline(page(bare)).headings) == 6


def test_names_are_text_and_never_markup(report):
    html = page(msgspec.structs.replace(report, dataset="<u>&", bundle='"<i>'))
    assert "<u>" not in html
    assert html.count("&lt;u&gt;&amp;") == 2
    outline(html)


def test_the_headline_is_the_figure_that_the_set_is_judged_by(report):
    assert "Accuracy (P@1)" in page(report)
    assert "Accuracy (P@1)" not in page(msgspec.structs.replace(report, single_tag=False))
    assert "never seen" in page(report)
    assert "seen in training" in page(msgspec.structs.replace(report, trained_on=True))
    assert "calibration file map.json" in page(msgspec.structs.replace(report, calibration="map.json"))


def test_the_accuracy_of_a_single_tag_set_is_said_to_hold_whatever_is_emitted(report):
    silent = tuple(
        msgspec.structs.replace(row, first_precision=0.0, first_recall=0.0, first_f1=0.0, macro_f1=0.0)
        for row in report.emission
    )
    html = page(msgspec.structs.replace(report, emission=silent))
    accuracy = report.ranking[-1].precision_1
    assert f"<td>{accuracy:.3f}</td><td>0.000</td><td>0.000</td><td>0.000</td><td>0.000</td>" in html
    assert accuracy > 0
    assert "whose first tag is right, emitted or not (P@1)" in html


def test_a_report_without_a_single_emitted_tag_is_shown_all_the_same(report):
    silent = tuple(
        msgspec.structs.replace(row, reliability=(), risk_coverage=(), first_risk_coverage=(), emitted=0)
        for row in report.confidence
    )
    assert outline(page(msgspec.structs.replace(report, confidence=silent))).svgs == 3
