"""Evaluation: average precision, its intervals and tests, rates, predictions on disk."""

from mlt.metrics.average_precision import average_precision, micro_average_precision
from mlt.metrics.calibration import Calibration, check_calibration, fit_calibration
from mlt.metrics.compare import (
    Comparison,
    Difference,
    compare_predictions,
    compare_scores,
    holm,
)
from mlt.metrics.confidence.intervals import Interval
from mlt.metrics.confidence.resampling import bootstrap_average_precision
from mlt.metrics.confidence.uncertainty import Uncertainty, average_precision_intervals
from mlt.metrics.decision import Decision, TunedDecision, tune_decision
from mlt.metrics.held_out import check_thresholds
from mlt.metrics.multi_seed import SeedMean, aggregate_seeds, compare_seeds
from mlt.metrics.precision_recall import Rates, decide, decision_rates, top_k
from mlt.metrics.ranking import LabelOrder, label_order
from mlt.metrics.reference import checked_average_precision, reference_average_precision
from mlt.metrics.reliability import (
    Reliability,
    ReliabilityCurve,
    reliability,
    reliability_curve,
)
from mlt.metrics.summary import ClassResult, Details, Summary, summarize
from mlt.metrics.tables import class_table, decision_table, rates_table, result_table, tuned_table
from mlt.metrics.thresholds import Thresholds, tune_thresholds
from mlt.predictions import Predictions

__all__ = [
    "Calibration",
    "ClassResult",
    "Comparison",
    "Decision",
    "Details",
    "Difference",
    "Interval",
    "LabelOrder",
    "Predictions",
    "Rates",
    "Reliability",
    "ReliabilityCurve",
    "SeedMean",
    "Summary",
    "Thresholds",
    "TunedDecision",
    "Uncertainty",
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
    "decision_rates",
    "decision_table",
    "fit_calibration",
    "holm",
    "label_order",
    "micro_average_precision",
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
