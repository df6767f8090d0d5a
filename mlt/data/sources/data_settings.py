"""Configuration that data sources share: where the data is, and how parts are cut out of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, TypeAlias

from pydantic import Field, field_validator, model_validator

from mlt.data.sources.cut_settings import Fraction, LongTailConfig
from mlt.settings import Settings, UserPath

__all__ = ["DataSettings", "OwnDataSettings", "Part"]

Part: TypeAlias = Literal["train", "validation", "test"]


class DataSettings(Settings):
    """What every data source shares; each also has a ``name`` of its own."""

    root: UserPath
    """Folder that holds the data. Annotations and images are relative to it; `split` and
    `image_ids` are not."""
    split: UserPath | None = None
    """Split file (JSON): the parts or folds that `mlt split` wrote, or a training split of
    `mlt build-split`; without it the training split is built when needed."""
    on_image_error: Literal["raise", "skip"] = "raise"
    """An image that cannot be decoded stops the run, or is skipped and counted."""
    decoding: Literal["exact", "reduced"] = "exact"
    """Decode training images whole, or large JPEG files at 1/2, 1/4 or 1/8 of their size as long as
    no crop is enlarged by it, which also draws other crops. Evaluation always decodes the whole; so
    does training with `transforms.antialias: false`."""
    cache: Literal["none", "ram", "disk"] = "none"
    """Decode each image once, before training, and keep its pixels in memory or in files: whole
    where training crops them, at the network's size where they are evaluated. No number changes."""
    cache_size: float = Field(4.0, gt=0)
    """GB that `cache` may take: of memory, or of all its files. Training images come first, then
    validation and test images; what does not fit is decoded whenever it is needed."""

    @property
    def has_validation(self) -> bool:
        """Whether validation images are named."""
        return False

    def cuts(self, part: Part) -> bool:
        """Whether a part is cut out of the training images, rather than read from its own files."""
        return False

    def source(self, cache: Path | None = None) -> Any:
        """What reads this data: a :class:`mlt.data.sources.base.DataSource`.

        Args:
            cache: Folder for label tables, so that the next start is instant; None: no cache.
        """
        raise NotImplementedError


class OwnDataSettings(DataSettings):
    """What sources of one's own data share."""

    class_names: tuple[str, ...] | None = None
    """The classes and their order; others are left out, and counted. Null takes those of the
    training data."""
    longtail: LongTailConfig | None = None
    """Cut a long-tailed subset out of the training images, after the other parts have been cut;
    null keeps them all."""
    fold: int | None = Field(None, ge=0)
    """The fold to test on, where `split` is a file with folds; the others are trained on."""

    @property
    def fractions(self) -> dict[str, Fraction]:
        """The parts that are cut out of the training images, but for those of a saved split."""
        from mlt.data.splits.partition import saved_parts

        saved = saved_parts(self.split)
        given = {part: getattr(self, part, None) for part in ("validation", "test")}
        return {
            part: value
            for part, value in given.items()
            if isinstance(value, Fraction) and part not in saved
        }

    @property
    def has_validation(self) -> bool:
        """Whether validation images are named, here or in the split."""
        return bool(self.keys_of("validation")) or self.cuts("validation")

    def cuts(self, part: Part) -> bool:
        """Whether a part is cut out of the training images, rather than read from its own files."""
        from mlt.data.splits.partition import saved_parts

        return part in self.fractions or part in saved_parts(self.split)

    def keys_of(self, part: str) -> list[str]:
        """The keys that say which images a part has, of those that are not null."""
        keys = (part, f"{part}_set", f"{part}_list")
        return [key for key in keys if getattr(self, key, None) is not None]

    def of_fold(self, split: str, fold: int) -> OwnDataSettings:
        """The same data with a fold of a saved split to test on, in place of other test images.

        Args:
            split: A file that `mlt split --folds` wrote.
            fold: Which.
        """
        test = {"test", "test_set", "test_list", "split_column", "split_values"}
        values = self.model_dump(include=self.model_fields_set - test)
        return type(self).model_validate({**values, "split": split, "fold": fold})

    @field_validator("class_names")
    @classmethod
    def _check_class_names(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if names is not None and not (names and all(names)):
            raise ValueError(
                f"needs one name at least, and none that is empty, not {list(names)}; null takes "
                "the classes of the training data"
            )
        return names

    @model_validator(mode="after")
    def _check_saved_parts(self) -> OwnDataSettings:
        from mlt.data.splits.partition import saved_parts

        for part in {"validation", "test"}.intersection(saved_parts(self.split)):
            if given := self.model_fields_set.intersection(self.keys_of(part)):
                key = min(given)
                raise ValueError(
                    f"{key}: {self.split} has the {part} images already; set {key} to null, or "
                    "leave out split"
                )
        return self

    @model_validator(mode="after")
    def _check_parts(self) -> OwnDataSettings:
        fractions = self.fractions
        for part in fractions:
            if more := [key for key in self.keys_of(part) if key in self.model_fields_set][1:]:
                raise ValueError(f"give one of {part} and {more[0]}")
        if sum(part.fraction for part in fractions.values()) > 1 - 1e-9:
            raise ValueError("the fractions of validation and test leave nothing to train on")
        if len({(part.seed, part.order) for part in fractions.values()}) > 1:
            raise ValueError(
                "validation and test are cut in one go: give both the same seed and order"
            )
        if not self.keys_of("test") and self.split is None:
            raise ValueError(
                "test is missing: name the test images, or cut them out of the training images "
                "with test: {fraction: 0.2}, or give a split made by `mlt split`"
            )
        return self
