from .coco_evaluation import CocoEvaluation as CocoEvaluation, evaluate_coco as evaluate_coco
from .counts import (
    class_counts_from_coco as class_counts_from_coco,
    class_counts_from_dataset as class_counts_from_dataset,
)
from .frameworks import (
    attach as attach,
    attached_loss as attached_loss,
    detach as detach,
    set_prior as set_prior,
)
from .frequency_report import (
    FrequencyReport as FrequencyReport,
    GroupLimits as GroupLimits,
    ap_by_frequency as ap_by_frequency,
    frequency_table as frequency_table,
)
from .loss_checks import check_loss as check_loss, check_softmax_loss as check_softmax_loss
from .lvis import (
    class_counts_from_lvis as class_counts_from_lvis,
    repeat_factor_sampler_from_coco as repeat_factor_sampler_from_coco,
)
from .targets import one_hot as one_hot
