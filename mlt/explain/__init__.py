"""Pictures of where a trained model saw labels on photographs, see :func:`explain`."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
