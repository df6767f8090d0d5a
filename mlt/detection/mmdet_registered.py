"""Import this from an mmdet configuration, in ``custom_imports``, to have ``MltLoss`` there."""

from mlt.detection.mmdet import register

__all__: list[str] = []

register()
