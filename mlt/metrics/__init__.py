"""Evaluation: average precision, its intervals and tests, rates, predictions on disk."""

from mlt.metrics.ap import average_precision, micro_average_precision
from mlt.metrics.calibration import Calibration, check_calibration, fit_calibration
from mlt.metrics.calibration_error import (
    Reliability,
    ReliabilityCurve,
    reliability,
    reliability_curve,
)
from mlt.metrics.compare import Comparison, compare_predictions, compare_scores
from mlt.metrics.confidence.ap_intervals import (
    AveragePrecisionIntervals,
    average_precision_intervals,
)
from mlt.metrics.confidence.interval import Interval
from mlt.metrics.confidence.multi_seed import SeedMean, aggregate_seeds, compare_seeds
from mlt.metrics.confidence.rank_groups import bootstrap_average_precision
from mlt.metrics.confidence.significance import Difference, holm
from mlt.metrics.decision import Decision, TunedDecision, tune_decision
from mlt.metrics.held_out import check_thresholds
from mlt.metrics.precision_recall import PrecisionRecallF1, decide, precision_recall_f1, top_k
from mlt.metrics.ranking import RankingMetrics, ranking_metrics
from mlt.metrics.reference import checked_average_precision, reference_average_precision
from mlt.metrics.summary import ClassResult, Details, Summary, summarize
from mlt.metrics.tables import class_table, decision_table, rates_table, result_table, tuned_table
from mlt.metrics.thresholds import Thresholds, tune_thresholds
from mlt.predictions import Predictions

__all__ = [
    "AveragePrecisionIntervals",
    "Calibration",
    "ClassResult",
    "Comparison",
    "Decision",
    "Details",
    "Difference",
    "Interval",
    "PrecisionRecallF1",
    "Predictions",
    "RankingMetrics",
    "Reliability",
    "ReliabilityCurve",
    "SeedMean",
    "Summary",
    "Thresholds",
    "TunedDecision",
    "aggregate_seeds",
    "average_precision",
    "average_precision_intervals",
    "bootstrap_average_precision",
    "check_calibration",
    "check_thresholds",
    "checked_average_precision",
    "class_table",
    "compare_predictions",
    "compare_scores",
    "compare_seeds",
    "decide",
    "decision_table",
    "fit_calibration",
    "holm",
    "micro_average_precision",
    "precision_recall_f1",
    "ranking_metrics",
    "rates_table",
    "reference_average_precision",
    "reliability",
    "reliability_curve",
    "result_table",
    "summarize",
    "top_k",
    "tune_decision",
    "tune_thresholds",
    "tuned_table",
]
