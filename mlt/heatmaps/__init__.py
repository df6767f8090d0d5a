"""Where a model saw a class: maps of any model, laid over the photographs they are of."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
