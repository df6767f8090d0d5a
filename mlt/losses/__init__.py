"""Losses for long-tailed multi-label recognition: one algebra, one call.

``loss(logits, targets, known=None)`` for every one of them. By name: :func:`create_loss`. From a
configuration: :func:`build_loss`. For one's own training code: the functions of
`mlt.losses.functional`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
