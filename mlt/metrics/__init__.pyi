from .ap import (
    average_precision as average_precision,
    micro_average_precision as micro_average_precision,
)
from .auroc import auroc as auroc
from .calibration import Calibration as Calibration, fit_calibration as fit_calibration
from .calibration_error import (
    Reliability as Reliability,
    ReliabilityCurve as ReliabilityCurve,
    reliability as reliability,
    reliability_curve as reliability_curve,
)
from .confidence import (
    Difference as Difference,
    Interval as Interval,
    MetricIntervals as MetricIntervals,
    SeedMean as SeedMean,
    aggregate_seeds as aggregate_seeds,
    auroc_intervals as auroc_intervals,
    average_precision_intervals as average_precision_intervals,
    compare_seeds as compare_seeds,
    holm as holm,
)
from .decision import Decision as Decision
from .ensemble import mean_predictions as mean_predictions
from .evaluation import Predictions as Predictions, summarize as summarize
from .f_beta import FBeta as FBeta, f_beta as f_beta
from .one_label import OneLabelRates as OneLabelRates, one_label_rates as one_label_rates
from .precision_recall import (
    PrecisionRecallF1 as PrecisionRecallF1,
    decide as decide,
    precision_recall_f1 as precision_recall_f1,
    top_k as top_k,
)
from .ranking import RankingMetrics as RankingMetrics, ranking_metrics as ranking_metrics
from .summary import (
    ClassResult as ClassResult,
    Details as Details,
    GroupLimits as GroupLimits,
    Summary as Summary,
)
from .tables import (
    class_table as class_table,
    decision_table as decision_table,
    rates_table as rates_table,
    result_table as result_table,
    tuned_table as tuned_table,
)
from .thresholds import Thresholds as Thresholds, tune_thresholds as tune_thresholds
from .tuning import TunedDecision as TunedDecision, tune_decision as tune_decision
