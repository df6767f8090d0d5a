"""The base of losses by class name: an :class:`ElementwiseLoss` put together by a preset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from mlt.class_counts import ClassCounts
from mlt.losses.class_weights import warn_of_clamped
from mlt.losses.elementwise import ElementwiseLoss
from mlt.losses.factory import element_parts
from mlt.losses.loss_config import resolve_preset
from mlt.losses.reduce import check_reduction
from mlt.losses.settings import Composition

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["BalancedLoss", "Counts", "PublishedLoss"]

Counts: TypeAlias = Sequence[float] | ClassCounts


class PublishedLoss(ElementwiseLoss):
    """A loss without class counts, from the options of its preset."""

    preset: ClassVar[str]
    """Name of its composition in `mlt.losses.presets`."""

    def __init__(self, counts: ClassCounts | None = None, **options: Any) -> None:
        check_reduction(options["reduction"])
        part = resolve_preset(self.preset, options)
        assert isinstance(part, Composition)
        super().__init__(**element_parts(part, counts, asked_for=type(self).__name__))
        self.class_counts = counts


class BalancedLoss(PublishedLoss):
    """A loss from class counts and the options of its preset."""

    def __init__(self, class_counts: Counts, num_images: int | None, **options: Any) -> None:
        counts = ClassCounts.from_counts(class_counts, num_images)
        warn_of_clamped(counts)
        super().__init__(counts, **options)

    @classmethod
    def from_counts(
        cls, class_counts: Counts, num_images: int | None = None, **options: Any
    ) -> Self:
        """Build from the positives of each class in the training split, as the class itself does.

        Args:
            class_counts: Positives of each class.
            num_images: Images the counts were taken over; only needed where the formula has it.
            **options: Of the class.
        """
        return cls(class_counts, num_images, **options)
