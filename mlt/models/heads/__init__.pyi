from .build import build_head as build_head
from .csra import CSRA as CSRA
from .prior import LARGEST_PRIOR_LOGIT as LARGEST_PRIOR_LOGIT
from .prior import last_layer as last_layer
from .prior import prior_logits as prior_logits
from .prior import set_prior_bias as set_prior_bias
from .scaled_linear import ScaledLinear as ScaledLinear
from .spatial import SpatialHead as SpatialHead
