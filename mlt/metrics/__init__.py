"""Evaluation: average precision, AUROC, intervals and tests, rates, thresholds, calibration.

Every function takes lists, arrays or tensors on any device. All of an evaluation at once:
:func:`summarize`. Importing this package does not import PyTorch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
