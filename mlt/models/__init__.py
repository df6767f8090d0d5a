"""Classifiers: a timm backbone, a head, and what is needed to fine-tune them."""

from __future__ import annotations

from mlt.models.build import build_model
from mlt.models.classifier import Classifier
from mlt.models.groups import parameter_groups

__all__ = ["Classifier", "build_model", "parameter_groups"]
