"""Everything that is found in the data, gathered."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from mlt.class_groups import GroupLimits
from mlt.data.labels import LabelTable
from mlt.data.samplers.settings import SamplerConfig
from mlt.data.settings import DataConfig
from mlt.errors import ConfigError
from mlt.inspection.advice import PART_NAMES, Advice, advise
from mlt.inspection.cooccurrence import Hidden, hidden_classes
from mlt.inspection.duplicates import Place, SharedGroups, same_pictures, shared_groups
from mlt.inspection.evaluation import Evaluation, expected_intervals
from mlt.inspection.labels import PartLabels, count_labels
from mlt.inspection.noise import Suspect, contradictions
from mlt.inspection.parts import read_parts
from mlt.inspection.pictures import Pictures, look_at_pictures
from mlt.inspection.training import Rebalancing, rebalancing
from mlt.losses.loss_config import LossConfig

__all__ = ["PICTURES", "Inspection", "inspect_data"]

logger = logging.getLogger(__name__)

PICTURES = 2000
"""Pictures of a part that are decoded, if not said otherwise."""


@dataclass(frozen=True, eq=False)
class Inspection:
    """What was found. ``"train"``, ``"validation"`` and ``"test"`` are the names of parts.

    Attributes:
        parts: Counts of the labels of each part that could be read.
        errors: Why the others could not.
        notes: What the readers of the data have to say.
        groups: The group of each class by its training images: head, medium or tail.
        group_rules: What makes a class one of each group, in words.
        hidden: Rare classes behind frequent ones in the training images.
        evaluation: What the test images will be able to say; None without test images.
        rebalancing: Loss weights and sampler draws; None without training images.
        pictures: What the image files are like; empty if they were not looked at.
        same_pictures: Images of the same content, within a part and between parts; None if the
            files were not looked at.
        similar_pictures: Images that look the same though their files differ; None if that was not
            asked for.
        shared_groups: Patients, videos and the like with images in two parts.
        suspects: Images of the same content with labels that contradict each other.
        advice: What to do next.
        tables: The labels themselves.
    """

    parts: Mapping[str, PartLabels]
    errors: Mapping[str, str]
    notes: tuple[str, ...]
    groups: Mapping[str, str]
    group_rules: Mapping[str, str]
    hidden: tuple[Hidden, ...]
    evaluation: Evaluation | None
    rebalancing: Rebalancing | None
    pictures: Mapping[str, Pictures]
    same_pictures: tuple[tuple[Place, ...], ...] | None
    similar_pictures: tuple[tuple[Place, ...], ...] | None
    shared_groups: tuple[SharedGroups, ...]
    suspects: tuple[Suspect, ...]
    advice: tuple[Advice, ...]
    tables: Mapping[str, LabelTable]

    def to_dict(self) -> dict[str, Any]:
        """All of it but the tables, as `mlt inspect --json` prints it: what JSON can express."""
        return {f.name: _plain(getattr(self, f.name)) for f in fields(self) if f.name != "tables"}


def inspect_data(
    data: DataConfig | Mapping[str, LabelTable],
    *,
    loss: LossConfig | None = None,
    sampler: SamplerConfig | None = None,
    limits: GroupLimits | None = None,
    pictures: int | None = PICTURES,
    near: bool = False,
    cache: Path | None = None,
) -> Inspection:
    """Look at the data of a run, and report all that is wrong with it rather than the first.

    Args:
        data: The data section of a configuration, or label tables by the names of the parts.
        loss: The loss section, whose weights are shown.
        sampler: The sampler section, whose draws are shown.
        limits: Where head, medium and tail begin; the published 100 and 20 if None.
        pictures: Decode at most so many pictures of a part, evenly spaced; None decodes all, 0
            looks at no file at all.
        near: Also look for pictures that look the same though their files differ, for which all
            are decoded.
        cache: Folder for label tables; None: no cache.

    Raises:
        ConfigError: If a part has another name than train, validation or test.

    Example:
        >>> table = LabelTable.from_lists([1, 2], ["a", "b"], ["cat", "dog"], [[0], [0, 1]])
        >>> found = inspect_data({"train": table}, pictures=0)
        >>> found.parts["train"].class_counts, found.groups
        ({'cat': 2, 'dog': 1}, {'cat': 'tail', 'dog': 'tail'})
    """
    errors: Mapping[str, str] = {}
    notes: Sequence[str] = ()
    if isinstance(data, Mapping):
        if wrong := [name for name in data if name not in PART_NAMES]:
            raise ConfigError(
                f"data: there is no part {wrong[0]!r}; the parts are {', '.join(PART_NAMES)}"
            )
        tables = dict(data)
        notes = [f"{name}: {note}" for name, table in tables.items() for note in table.notes]
    else:
        read = read_parts(data, cache)
        tables, errors, notes = dict(read.tables), read.errors, read.notes
    parts = {name: count_labels(table) for name, table in tables.items()}
    filled = {name: table for name, table in tables.items() if len(table) and table.num_classes}
    looked, same, suspects = _about_files(filled, pictures)
    similar = _similar(filled, same or ()) if near else None
    train, test = filled.get("train"), filled.get("test")
    counts, groups, weights = None, {}, None
    hidden: tuple[Hidden, ...] = ()
    if train is not None:
        counts = train.class_counts(limits)
        groups = {name: counts.group_of(c) for c, name in enumerate(counts.names)}
        hidden = hidden_classes(train)
        weights = rebalancing(train, counts, loss, sampler)
    evaluation = None if test is None else expected_intervals(test.class_counts(limits), counts)
    shared = shared_groups(filled)
    return Inspection(
        parts=parts,
        errors=errors,
        notes=tuple(notes),
        groups=groups,
        group_rules=(limits or GroupLimits()).describe(),
        hidden=hidden,
        evaluation=evaluation,
        rebalancing=weights,
        pictures=looked,
        same_pictures=same,
        similar_pictures=similar,
        shared_groups=shared,
        suspects=suspects,
        advice=advise(
            parts,
            errors,
            looked,
            same or (),
            similar or (),
            shared,
            suspects,
            hidden,
            evaluation,
            takes_validation=isinstance(data, Mapping) or "validation" in type(data).model_fields,
        ),
        tables=tables,
    )


def _about_files(
    tables: Mapping[str, LabelTable], limit: int | None
) -> tuple[dict[str, Pictures], tuple[tuple[Place, ...], ...] | None, tuple[Suspect, ...]]:
    if limit == 0:
        return {}, None, ()
    looked = {}
    for name, table in tables.items():
        if (found := look_at_pictures(table, limit)) is not None:
            logger.info("%s: looked at %d of %d pictures", name, found.decoded, found.images)
            looked[name] = found
    same = same_pictures(tables, limit)
    return looked, same, contradictions(tables, same)


def _similar(
    tables: Mapping[str, LabelTable], same: Sequence[Sequence[Place]]
) -> tuple[tuple[Place, ...], ...]:
    from mlt.inspection.similar import similar_pictures  # its libraries take a second to load

    return similar_pictures(tables, same)


def _plain(value: Any) -> Any:
    """As JSON can express it: dictionaries and lists, None for NaN."""
    if hasattr(value, "__dataclass_fields__"):
        return _plain(asdict(value))
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
