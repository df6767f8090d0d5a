"""How a table of labels is written: the keys of a configuration that say so."""

from __future__ import annotations

import codecs
import re
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, Field, model_validator

from mlt.settings import Settings

__all__ = ["Group", "GroupPattern", "LabelValue", "Policy", "TableFormat"]

LabelValue = Literal["unknown", "negative", "positive"]
"""What a cell that is neither a plain yes nor a plain no is taken for."""


def _known_encoding(name: str) -> str:
    try:
        codecs.lookup(name)
    except LookupError:
        raise ValueError(
            f"there is no encoding {name!r}; common ones are utf-8, utf-16, cp1252 (Windows), "
            "latin-1, mac-roman, shift_jis, gb18030"
        ) from None
    return name


def _regular_expression(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is not a regular expression: {error}") from None
    return pattern


class Policy(Settings):
    """What cells of one class mean where that differs from the other classes."""

    blank: LabelValue | None = None
    """What an empty cell means; null: as for the other classes."""
    uncertain: LabelValue | None = None
    """What -1 means; null: as for the other classes."""


class GroupPattern(Settings):
    """What images belong to, as a part of a cell, such as the folder of a patient in the path."""

    column: str | None = None
    """The column; null: that of the image paths."""
    pattern: Annotated[str, AfterValidator(_regular_expression)]
    r"""Regular expression of the group, such as `patient\d+`; where it has a bracket, what is in
    it."""


Group: TypeAlias = str | GroupPattern
"""A column, or a pattern in one."""


class TableFormat(Settings):
    """How a table of labels is written."""

    path_column: str = "path"
    """Column with the image paths."""
    id_column: str | None = None
    """Column with the image ids; null takes the paths as ids."""
    labels_column: str | None = "labels"
    """Column that lists an image's class names; null: every class has a column of its own. In the
    long layout, the column with the class of each line. As for every column, a name with dots is of
    what is within objects: `annotations.label`."""
    layout: Literal["long"] | None = None
    """`long`: a line per image and class instead of a line per image."""
    separator: str | None = Field(None, min_length=1)
    """What separates the class names in the labels column; null is `|`, and refuses names that look
    like lists with another separator. Lists such as `['cat', 'dog']` are recognised."""
    negatives: tuple[str, ...] = ()
    """Names that mean that an image has none of the classes, such as `No Finding`; in the layout of
    one column per class, names of columns."""
    class_labels: str | None = None
    """Table of two columns, with the names that the classes get for the ids in the labels
    column."""
    value_column: str | None = None
    """Column of the long layout that says whether the image has the class; null: what is listed is
    present."""
    unlisted: Literal["unknown", "negative"] | None = None
    """What a class means that the long layout does not list for an image; null: unknown with a
    value column, negative without."""
    blank: LabelValue = "negative"
    """What an empty cell of a class column means; what an image without class names means."""
    uncertain: LabelValue = "unknown"
    """What -1 in a class column means."""
    policies: dict[str, Policy] = Field(default_factory=dict)
    """What blank and uncertain mean for single classes, by class name."""
    soft: bool = False
    """Values between 0 and 1 are soft targets for the loss; a label from 0.5 on."""
    votes: int | None = Field(None, ge=1)
    """Values are the votes of this many people for a class: soft targets of votes / people."""
    threshold: float | None = Field(None, gt=0, le=1)
    """Values between 0 and 1 are labels from this value on, and negative below."""
    counts: Literal["positive"] | None = None
    """`positive`: values of 2 and more, which count objects, are labels."""
    group: Group | None = None
    r"""Column with what images belong to that no split may tear apart, such as their patient; or,
    where that is a part of a cell, `{column: Path, pattern: 'patient\d+'}`."""
    delimiter: str | None = Field(None, min_length=1, max_length=1)
    """What separates the columns; null goes by the file: tab for `.tsv`, else comma, or `;` or tab
    where the first line has no comma."""
    encoding: Annotated[str, AfterValidator(_known_encoding)] | None = None
    """Encoding of the text; null is UTF-8, or UTF-16 where the file begins with its mark."""
    header: bool = True
    """Whether the first line names the columns; false: their names are 1, 2, 3, ..."""
    columns: tuple[str, ...] | None = None
    """Names of the columns, for a table without a header. If the last one is the labels column,
    lines may end in any number of class names."""

    @model_validator(mode="after")
    def _check_combination(self) -> TableFormat:
        if self.layout == "long":
            if self.labels_column is None:
                raise ValueError("layout: long needs labels_column, with the class of each line")
        elif self.value_column or self.unlisted:
            raise ValueError("value_column and unlisted are of layout: long")
        elif self.labels_column is not None:
            self._check_lists()
        elif self.class_labels:
            raise ValueError("class_labels are for the ids in a labels_column")
        if self.soft and self.threshold is not None:
            raise ValueError("with threshold, values become labels; they cannot be soft as well")
        return self

    def _check_lists(self) -> None:
        if self.blank == "positive":
            raise ValueError(
                "with labels_column, blank must be negative or unknown, not 'positive'"
            )
        if self.policies:
            raise ValueError(
                "policies are for a column per class; with labels_column nothing is uncertain"
            )

    @property
    def group_column(self) -> str | None:
        """The column that says what images belong to."""
        if isinstance(self.group, GroupPattern):
            return self.group.column or self.path_column
        return self.group

    @property
    def group_pattern(self) -> str | None:
        """The part of a cell that says it; None: all of it."""
        return self.group.pattern if isinstance(self.group, GroupPattern) else None

    @property
    def named_columns(self) -> list[str]:
        """The columns that are not classes."""
        named = (self.path_column, self.id_column, self.group_column)
        return [name for name in named if name is not None]
