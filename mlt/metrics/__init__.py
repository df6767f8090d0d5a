"""Evaluation: average precision, its intervals and tests, rates, predictions on disk."""

from mlt.metrics.average_precision import average_precision, micro_average_precision
from mlt.metrics.compare import (
    Comparison,
    Difference,
    compare_predictions,
    compare_scores,
    holm,
)
from mlt.metrics.intervals import Interval
from mlt.metrics.ordering import LabelOrder, label_order
from mlt.metrics.predictions import Predictions
from mlt.metrics.rates import Rates, decide, decision_rates, top_k
from mlt.metrics.reference import checked_average_precision, reference_average_precision
from mlt.metrics.resampling import bootstrap_average_precision
from mlt.metrics.seeds import SeedMean, aggregate_seeds, compare_seeds
from mlt.metrics.summary import ClassResult, Details, Summary, summarize
from mlt.metrics.tables import class_table, rates_table, result_table
from mlt.metrics.uncertainty import Uncertainty, average_precision_intervals

__all__ = [
    "ClassResult",
    "Comparison",
    "Details",
    "Difference",
    "Interval",
    "LabelOrder",
    "Predictions",
    "Rates",
    "SeedMean",
    "Summary",
    "Uncertainty",
    "aggregate_seeds",
    "average_precision",
    "average_precision_intervals",
    "bootstrap_average_precision",
    "checked_average_precision",
    "class_table",
    "compare_predictions",
    "compare_scores",
    "compare_seeds",
    "decide",
    "decision_rates",
    "holm",
    "label_order",
    "micro_average_precision",
    "rates_table",
    "reference_average_precision",
    "result_table",
    "summarize",
    "top_k",
]
