"""The views of an image as they are written on the command line."""

from __future__ import annotations

from pydantic import ValidationError

from mlt.config.training import EvaluationConfig
from mlt.config.yaml_text import parse_yaml
from mlt.data.view_settings import ViewConfig, ViewName
from mlt.errors import ConfigError
from mlt.problems import problems_of

__all__ = ["parse_views"]


def parse_views(text: str, option: str) -> tuple[ViewName | ViewConfig, ...]:
    """Read `evaluation.views` from a line.

    Args:
        text: A list of YAML, whose brackets may be left out.
        option: What it was given to, for messages.

    Raises:
        ConfigError: If it is not such a list; names every problem.

    Example:
        >>> names = parse_views("whole, {zoom: 1.5}", "--views")
        >>> names[0], names[1].zoom
        ('whole', 1.5)
    """
    text = text.strip()
    try:
        values = parse_yaml(text if text.startswith("[") else f"[{text}]")
        return EvaluationConfig.model_validate({"views": values}).views
    except ConfigError as error:
        raise ConfigError(f"{option}: {error}") from None
    except ValidationError as error:
        said = "; ".join(f"{path}: {text}" for path, text in problems_of(error, EvaluationConfig))
        raise ConfigError(f"{option}: {said}") from None
