"""The model card says what the reports say, and nothing else."""

import shutil

import msgspec
import pytest

from benchmarks.model_card import card, main, read_reports
from streamproc.errors import UserError
from streamproc.evaluation.metrics import Interval
from streamproc.evaluation.protocol import Studies, Subject, evaluate
from streamproc.graph.thresholds import FITTED
from streamproc.inference.bundle import Bundle, default_bundle_path
from tests.evaluation.conftest import bag_cache, hobbies  # noqa: F401 - fixtures
from tests.evaluation.worlds import MODELS

BUNDLE = Bundle.load(default_bundle_path())
NAME = f"{BUNDLE.manifest.name}-{BUNDLE.manifest.version}"


@pytest.fixture(scope="module")
def report(hobbies, bag_cache):  # noqa: F811 - fixtures
    studies = Studies(ablations=True, new_tags=0.3, out_of_scope=2)
    return evaluate(hobbies, Subject(NAME, MODELS, FITTED), trees=(), studies=studies, cache=bag_cache)


def written(tmp_path, report, name="r.json"):
    path = tmp_path / name
    path.write_bytes(msgspec.json.encode(report))
    return path


def test_files_data_licences_and_figures_stand_in_the_card(report):
    text = card(BUNDLE, [msgspec.structs.replace(report, fitted_to=72)], "make bundle")
    for name in BUNDLE.manifest.files:
        assert f"| {name} |" in text
    for each in BUNDLE.manifest.attributions:
        assert each.licence in text
    ours = report.ranking[-1]
    assert f"**{ours.precision_1:.3f}**" in text
    assert "name alone" in text
    assert "### Notes that belong to no tag" in text
    assert (
        "make bundle\nstreamproc eval DATASETS_DIR/hobbies --bundle BUNDLE --split test --hold-out-tags 0.3 --hold-out-single 2 --ablations"
        in text
    )


@pytest.mark.parametrize(
    ("changes", "prefix", "option"),
    [
        ({}, "STREAMPROC_FIT_CONFIDENCES=off ", ""),
        ({"fitted_to": 72}, "", ""),
        ({"trained_on": True}, "", ""),
        ({"calibration": "map.json"}, "", " --calibration maps/hobbies.json"),
    ],
)
def test_each_report_stands_there_with_the_command_that_makes_it_again(report, changes, prefix, option):
    text = card(BUNDLE, [msgspec.structs.replace(report, **changes)], "make bundle")
    assert (
        f"\n{prefix}streamproc eval DATASETS_DIR/hobbies --bundle BUNDLE --split test{option} --hold-out-tags 0.3"
        in text
    )


def test_limits_are_drawn_from_the_figures(report):
    rival = msgspec.structs.replace(report.ranking[0], behind=Interval(-0.2, -0.3, -0.1))
    beaten = msgspec.structs.replace(report, ranking=(rival, *report.ranking[1:]))
    assert "matching ranks better by 0.200 in P@1" in card(BUNDLE, [beaten], "x")
    assert "ranks better" not in card(BUNDLE, [report], "x")


def test_a_card_of_seen_sets_alone_says_so(report):
    seen = msgspec.structs.replace(report, trained_on=True)
    assert "expect less elsewhere" in card(BUNDLE, [seen], "x")
    assert "expect less elsewhere" not in card(BUNDLE, [seen, report], "x")


def test_studies_that_were_not_made_leave_no_empty_table(report):
    bare = msgspec.structs.replace(report, ablations=(), new_tags=(), out_of_scope=())
    text = card(BUNDLE, [bare], "x")
    assert "without a history" not in text
    assert "### Notes that belong to no tag" not in text


def test_unseen_sets_come_first(tmp_path, report):
    seen = msgspec.structs.replace(report, trained_on=True, dataset="a")
    paths = [written(tmp_path, seen, "a.json"), written(tmp_path, report, "b.json")]
    assert [each.dataset for each in read_reports(paths, NAME)] == ["hobbies", "a"]


def test_a_report_of_another_bundle_is_refused(tmp_path, report):
    other = written(tmp_path, msgspec.structs.replace(report, bundle="other-1"))
    with pytest.raises(UserError, match="was measured with other-1"):
        read_reports([other], NAME)


def test_the_command_writes_the_card_and_the_main_figures_or_says_what_is_wrong(tmp_path, report):
    bundle = shutil.copytree(BUNDLE.path, tmp_path / "bundle")
    output = tmp_path / "MODEL_CARD.md"
    arguments = [str(bundle), str(written(tmp_path, report)), "--rebuild", "x", "-o", str(output)]
    main(arguments)
    assert output.read_text() == card(BUNDLE, [report], "x")
    (recorded,) = Bundle.load(bundle).manifest.figures.values()
    assert recorded["precision_1"] == round(report.ranking[-1].precision_1, 4)
    assert recorded["ece_excess"] == round(report.confidence[0].excess, 4)
    (tmp_path / "r.json").write_text("{}")
    with pytest.raises(UserError, match=r"r\.json is no report of 'streamproc eval'"):
        main(arguments)
