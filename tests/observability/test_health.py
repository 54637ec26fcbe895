from streamproc.observability.health import Vitals, judge


def vitals(**more):
    well = {
        "group_joined": True,
        "topics_missing": (),
        "tails_behind": (),
        "view_problem": "",
        "down": {},
        "oldest_unacked_seconds": 0.0,
        "standstill_seconds": 0.0,
    }
    return Vitals(**{**well, **more})


def test_a_worker_in_order_is_live_and_ready():
    health = judge(vitals(), 120)
    assert health.live
    assert health.ready


def test_each_thing_missing_is_named():
    health = judge(
        vitals(
            group_joined=False,
            topics_missing=("notes.new",),
            tails_behind=("tags.changes",),
            view_problem="run `streamproc graph rebuild`",
            down={"Milvus": "refused"},
        ),
        120,
    )
    assert health.live
    assert len(health.not_ready) == 5
    assert "notes.new does not exist: streamproc topics create" in health.not_ready
    assert "tags.changes is not read to its end yet" in health.not_ready
    assert "Milvus is down: refused" in health.not_ready


def test_a_graph_that_is_lost_makes_nothing_unfit_to_live():
    health = judge(
        vitals(view_problem="run graph rebuild", oldest_unacked_seconds=500, standstill_seconds=500), 120
    )
    assert health.live
    assert health.not_ready == ("run graph rebuild",)


def test_a_record_that_waits_too_long_makes_it_unfit_to_live():
    health = judge(vitals(oldest_unacked_seconds=121), 120)
    assert not health.live
    assert "121 s" in health.not_live[0]


def test_not_while_a_dependency_is_down():
    assert judge(vitals(oldest_unacked_seconds=500, down={"Triton": "refused"}), 120).live


def test_a_commit_that_stands_still_before_records_makes_it_unfit_to_live():
    health = judge(vitals(standstill_seconds=121), 120)
    assert not health.live
    assert "stood still for 121 s" in health.not_live[0]
    assert judge(vitals(standstill_seconds=500, down={"Triton": "refused"}), 120).live
