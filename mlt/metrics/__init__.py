"""Evaluation: average precision, head / medium / tail means, predictions on disk."""

from mlt.metrics.average_precision import average_precision
from mlt.metrics.predictions import Predictions
from mlt.metrics.summary import ClassResult, Summary, summarize
from mlt.metrics.tables import class_table, result_table

__all__ = [
    "ClassResult",
    "Predictions",
    "Summary",
    "average_precision",
    "class_table",
    "result_table",
    "summarize",
]
