from .interval import Interval as Interval
from .metric_intervals import (
    MetricIntervals as MetricIntervals,
    auroc_intervals as auroc_intervals,
    average_precision_intervals as average_precision_intervals,
)
from .multi_seed import (
    SeedMean as SeedMean,
    aggregate_seeds as aggregate_seeds,
    compare_seeds as compare_seeds,
)
from .significance import Difference as Difference, holm as holm
