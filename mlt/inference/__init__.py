"""Use of a trained model: prediction for image files, and export to other runtimes."""

from mlt.inference.paths import find_images
from mlt.inference.predictor import NoPrediction, Prediction, Predictor

__all__ = ["NoPrediction", "Prediction", "Predictor", "find_images"]
