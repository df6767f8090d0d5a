"""Classes in words: their names and descriptions, and the vectors that a text tower makes of them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
