"""Data: from annotation files to a label table, a split, class statistics and batches.

Importing this package costs numpy, scipy and pyarrow, nothing more; images and loaders are in the
modules that need torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
