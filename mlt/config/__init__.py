"""Typed configurations: every key of the YAML, its type, default and meaning.

Nothing here imports torch, so that `--help` and checking a configuration are instant.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
