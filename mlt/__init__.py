"""Long-tailed multi-label recognition: splits, losses, samplers, training and evaluation."""

__all__ = ["__version__"]

__version__ = "0.1.0"
