"""Classifiers: a timm backbone, a head, and what is needed to fine-tune them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
