"""Losses in detectors: ``attach(model, loss)``, counts of boxes, and COCO's evaluation.

``attach`` and ``detach`` recognise the framework of a model. What is special to one is in a module
of its own, which imports the framework only when it is used: `mlt.detection.torchvision`,
`mlt.detection.transformers`, `mlt.detection.ultralytics`, `mlt.detection.mmdet`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
