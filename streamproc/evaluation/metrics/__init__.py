"""Metrics of recall, ranking, emission and confidence, as the papers define them.

Where that makes sense a function gives one number a note, so that two methods can be compared pairwise on
the same notes.
"""

from streamproc.evaluation.metrics.bootstrap import Interval, paired_bootstrap
from streamproc.evaluation.metrics.calibration import (
    Bin,
    brier,
    brier_skill,
    calibration_interval,
    calibration_noise,
    expected_calibration_error,
    reliability,
)
from streamproc.evaluation.metrics.emission import Tally, accuracy_at, coverage_at, macro_f1, tally
from streamproc.evaluation.metrics.ranking import f1_at, hit_rate, ndcg_at, precision_at, right_candidates
from streamproc.evaluation.metrics.risk_coverage import Point, area_under_risk_coverage, risk_coverage

__all__ = [
    "Bin",
    "Interval",
    "Point",
    "Tally",
    "accuracy_at",
    "area_under_risk_coverage",
    "brier",
    "brier_skill",
    "calibration_interval",
    "calibration_noise",
    "coverage_at",
    "expected_calibration_error",
    "f1_at",
    "hit_rate",
    "macro_f1",
    "ndcg_at",
    "paired_bootstrap",
    "precision_at",
    "reliability",
    "right_candidates",
    "risk_coverage",
    "tally",
]
