"""Runs as one HTML file, see :func:`write_report`; and a picture of the classes of a split."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
