"""Predictions of other tools: tables of scores, and of the truth, as mlt's own predictions.

    from mlt.prediction_tables import read_predictions

    predictions = read_predictions("scores.csv", "truth.csv", kind="probabilities")
    print(mlt.metrics.summarize(predictions))

Importing this package does not import PyTorch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
