from .base import (
    EpochSampler as EpochSampler,
    SequentialSampler as SequentialSampler,
    ShuffleSampler as ShuffleSampler,
)
from .build import (
    build_sampler as build_sampler,
    expected_draws as expected_draws,
    image_weights as image_weights,
)
from .class_aware import ClassAwareSampler as ClassAwareSampler
from .repeat_factor import (
    RepeatFactorSampler as RepeatFactorSampler,
    repeat_factors as repeat_factors,
)
from .repeated import RepeatedSampler as RepeatedSampler
from .weighted import WeightedSampler as WeightedSampler
