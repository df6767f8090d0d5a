"""Settings of the views of an image that evaluation averages over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeAlias, get_args

from pydantic import Field, ValidationError

from mlt.data.transform_settings import LARGEST_SIDE
from mlt.errors import ConfigError
from mlt.problems import did_you_mean, problems_of
from mlt.settings import Settings

__all__ = ["Average", "Place", "ViewConfig", "ViewName", "check_average", "expand_views"]

Place: TypeAlias = Literal["middle", "top_left", "top_right", "bottom_left", "bottom_right"]
"""Which part of the image a view with a zoom shows."""

ViewName: TypeAlias = Literal["whole", "mirror", "five_crops", "ten_crops"]
"""The image as it is evaluated otherwise; its mirror image; the four corners and the middle; those
and their mirror images."""

Average: TypeAlias = Literal["logits", "probabilities"]
"""What is averaged over views, or over the models of an ensemble."""

_FIVE: tuple[Place, ...] = ("top_left", "top_right", "bottom_left", "bottom_right", "middle")
_CROP = 8 / 7  # 224 of 256 pixels, as is usual for five crops


class ViewConfig(Settings):
    """A view of the image."""

    size: int | None = Field(None, ge=1, le=LARGEST_SIDE)
    """Height and width of the network's input in pixels; null: `transforms.size`."""
    zoom: float = Field(1.0, ge=1, le=100)
    """Show a part of the image whose sides are this many times shorter; 1: the whole."""
    place: Place = "middle"
    """Which part."""
    mirror: bool = False
    """Show the mirror image of that (horizontal flip)."""


def expand_views(
    views: Iterable[ViewName | ViewConfig | Mapping[str, Any]], mirror: bool = False
) -> tuple[ViewConfig, ...]:
    """Every view that the network is shown, one by one.

    Args:
        views: Names, which may stand for several, and sections.
        mirror: Show the mirror image of each as well.

    Raises:
        ConfigError: If they are no list of views, or there are none.

    Example:
        >>> [view.place for view in expand_views(["whole", "five_crops"])][:3]
        ['middle', 'top_left', 'top_right']
        >>> [view.mirror for view in expand_views(["whole"], mirror=True)]
        [False, True]
    """
    shown = [one for view in _listed(views) for one in _expand(view)]
    if mirror:
        shown += [view.model_copy(update={"mirror": not view.mirror}) for view in shown]
    return tuple(shown)


def check_average(name: str, average: object) -> None:
    """Refuse what is no way to average.

    Args:
        name: Of the argument, for the message.
        average: What was given.

    Raises:
        ConfigError: If it is none of :data:`Average`.
    """
    allowed = get_args(Average)
    if average not in allowed:
        raise ConfigError(f"{name} must be one of {', '.join(allowed)}, not {average!r}")


def _listed(views: Any) -> list[Any]:
    listed = None if isinstance(views, str | Mapping | ViewConfig) else list(views)
    if not listed:
        raise ConfigError(
            f"views must be a list of at least one view, such as ['whole', 'mirror'], not {views!r}"
        )
    return listed


def _expand(view: ViewName | ViewConfig | Mapping[str, Any]) -> list[ViewConfig]:
    if isinstance(view, ViewConfig):
        return [view]
    if isinstance(view, Mapping):
        try:
            return [ViewConfig.model_validate(dict(view))]
        except ValidationError as error:
            said = "; ".join(f"{key}: {text}" for key, text in problems_of(error, ViewConfig))
            raise ConfigError(f"views: {dict(view)}: {said}") from None
    if view in ("whole", "mirror"):
        return [ViewConfig(mirror=view == "mirror")]
    if view not in get_args(ViewName):
        raise ConfigError(
            f"views: {view!r} is not known{did_you_mean(str(view), get_args(ViewName))}"
        )
    flips = (False, True) if view == "ten_crops" else (False,)
    return [ViewConfig(zoom=_CROP, place=place, mirror=flip) for flip in flips for place in _FIVE]
