"""A greedy soup: the average of those checkpoints that help on validation images."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path

from mlt.config import Config
from mlt.engine.evaluate import evaluate_checkpoint
from mlt.errors import ConfigError
from mlt.metrics import summarize
from mlt.models.average import average_weights
from mlt.models.checkpoint import save_checkpoint

__all__ = ["greedy_soup"]

logger = logging.getLogger(__name__)


def greedy_soup(paths: Sequence[str | Path], config: Config) -> list[Path]:
    """Choose checkpoints whose average has the highest mAP on validation images.

    From the best checkpoint on, each is added in turn, best first, and stays if the mAP of the
    average does not fall (Wortsman et al., ICML 2022, recipe 1).

    Args:
        paths: Checkpoints that can be averaged, see :func:`mlt.models.average.average_weights`.
        config: Says which validation images; test images are never looked at.

    Returns:
        Those that were chosen, best first.

    Raises:
        ConfigError: If the configuration has no validation images.
        CheckpointError: If the checkpoints cannot be averaged.
    """
    if not config.data.has_validation:
        raise ConfigError(
            "data.validation: a greedy soup is chosen on validation images, and the configuration "
            "names none; leave --greedy out, or give it some"
        )
    average_weights(paths)  # what cannot be averaged is found before anything is computed
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "soup.safetensors"

        def score(members: Sequence[Path]) -> float:
            save_checkpoint(file, *average_weights(members))
            return summarize(evaluate_checkpoint(config, file, "validation")).total

        scores = {path: score([path]) for path in dict.fromkeys(map(Path, paths))}
        for path, own in scores.items():
            logger.info("%s: validation mAP %.2f", path, 100 * own)
        first, *others = sorted(scores, key=lambda path: -scores[path])
        chosen, best = [first], scores[first]
        for path in others:
            tried = score([*chosen, path])
            kept = tried >= best
            logger.info("with %s: %.2f, %s", path, 100 * tried, "kept" if kept else "left out")
            if kept:
                chosen, best = [*chosen, path], tried
    return chosen
