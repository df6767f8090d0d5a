"""Samplers: which images an epoch consists of.

======================  ===========================================================================
ShuffleSampler          every image once
SequentialSampler       every image once, in order
ClassAwareSampler       classes take turns (the published re-sampling)
RepeatFactorSampler     every image at least once, images of rare classes more often (LVIS)
WeightedSampler         with replacement, in proportion to any weight of an image
RepeatedSampler         the draws of another one, several times each (repeated augmentation)
======================  ===========================================================================
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
