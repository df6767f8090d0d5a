"""Samplers: which images an epoch consists of.

======================  ===========================================================================
ShuffleSampler          every image once
SequentialSampler       every image once, in order
ClassAwareSampler       classes take turns (the published re-sampling)
RepeatFactorSampler     every image at least once, images of rare classes more often (LVIS)
WeightedSampler         with replacement, in proportion to any weight of an image
======================  ===========================================================================
"""

from __future__ import annotations

from mlt.data.samplers.base import EpochSampler, SequentialSampler, ShuffleSampler
from mlt.data.samplers.build import build_sampler, expected_draws, image_weights
from mlt.data.samplers.class_aware import ClassAwareSampler
from mlt.data.samplers.repeat_factor import RepeatFactorSampler, repeat_factors
from mlt.data.samplers.weighted import WeightedSampler

__all__ = [
    "ClassAwareSampler",
    "EpochSampler",
    "RepeatFactorSampler",
    "SequentialSampler",
    "ShuffleSampler",
    "WeightedSampler",
    "build_sampler",
    "expected_draws",
    "image_weights",
    "repeat_factors",
]
