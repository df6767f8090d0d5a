"""Our losses in Hugging Face transformers: the DETR families, and image classification.

transformers calls ``model.loss_function``, which a model's owner may set; nothing else is touched.
The framework's own loss function still does the matching, the auxiliary and denoising outputs, the
box losses and the weights; only its classification term is ours:

===================================  ==================  =========================================
family                               term, as logged     target of a matched query
===================================  ==================  =========================================
Deformable, Conditional, DAB-DETR    ``loss_ce``         1
RT-DETR, RT-DETRv2, D-FINE           ``loss_vfl``        IoU of its box
DEIMv2                               ``loss_mal``        IoU^gamma
LW-DETR, RF-DETR                     ``loss_ce``         p^alpha IoU^(1 - alpha), at least 0.01
DETR, YOLOS, Table Transformer       ``loss_ce``         1, on class minus "no object"
===================================  ==================  =========================================

The term keeps the name that the framework gives it: a name that is not in the framework's table of
weights is left out of the total without a word. The sum over elements is divided by the number of
boxes, as there. The matcher's costs stay what they are: a loss changes what is learned from a
match, not the match.
"""

from mlt.detection.transformers.attach import LossFunction, attach, attached_loss, detach
from mlt.detection.transformers.classification import trainer_loss
from mlt.detection.transformers.prior import set_prior
from mlt.detection.transformers.terms import against_no_object

__all__ = [
    "LossFunction",
    "against_no_object",
    "attach",
    "attached_loss",
    "detach",
    "set_prior",
    "trainer_loss",
]
