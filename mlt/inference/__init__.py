"""Use of a trained model: prediction for image files, and export to other runtimes."""

from mlt.inference.paths import find_images
from mlt.inference.prediction import NoPrediction, Prediction
from mlt.inference.predictor import Predictor

__all__ = ["NoPrediction", "Prediction", "Predictor", "find_images"]
