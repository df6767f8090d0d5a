"""Long-tailed multi-label recognition: splits, losses, samplers, training and evaluation.

The names below are the few that most people need; each is loaded when it is first used. The rest is
in the packages: `mlt.losses`, `mlt.data`, `mlt.models`, `mlt.metrics`, `mlt.detection`, ...
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
