"""What to do next: sentences, each from a rule and with the numbers that made it apply."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass
from typing import Literal

from mlt.inspection.cooccurrence import Hidden
from mlt.inspection.duplicates import Place, SharedGroups
from mlt.inspection.evaluation import Evaluation, half_width
from mlt.inspection.labels import PartLabels
from mlt.inspection.noise import Suspect
from mlt.inspection.pictures import Pictures

__all__ = ["PART_NAMES", "Advice", "advise", "some"]

PART_NAMES = {"train": "training", "validation": "validation", "test": "test"}

FEW_POSITIVES = 10
"""With fewer test images, the interval of an average precision covers most of 0 to 100."""

LONG_TAILED = 10
"""Ratio of the most frequent to the rarest class from which rebalancing is worth a comparison."""

MANY_UNLABELLED = 0.3
"""Share of training images without a label from which it is asked whether that is meant."""


@dataclass(frozen=True)
class Advice:
    """A sentence or two.

    Attributes:
        kind: ``"fix"``: training would stop, or results would be wrong; ``"check"``: a look is
            worth it; ``"do"``: what the numbers suggest for the run.
        text: What was found and what to do.
    """

    kind: Literal["fix", "check", "do"]
    text: str


def advise(
    parts: Mapping[str, PartLabels],
    errors: Mapping[str, str],
    pictures: Mapping[str, Pictures],
    same: Sequence[Sequence[Place]],
    similar: Sequence[Sequence[Place]],
    groups: Sequence[SharedGroups],
    suspects: Sequence[Suspect],
    hidden: Sequence[Hidden],
    evaluation: Evaluation | None,
    takes_validation: bool,
) -> tuple[Advice, ...]:
    """Apply all rules, what must be fixed first.

    Args:
        parts: Counts of the labels.
        errors: Parts that could not be read.
        pictures: What the image files are like.
        same: Groups of equal pictures.
        similar: Groups of pictures that look the same.
        groups: Patients and the like in two parts.
        suspects: Equal pictures with other labels.
        hidden: Rare classes behind frequent ones.
        evaluation: What the test images can say.
        takes_validation: Whether the data may have a validation part.
    """
    found = [
        *(Advice("fix", f"The {PART_NAMES[part]} part cannot be read.") for part in errors),
        *(Advice("fix", f"There is no {PART_NAMES[part]} image.") for part in _empty(parts)),
        *_about_files(pictures),
        *_about_leaks(same, groups, parts),
        *_about_looks(similar),
        *_about_labels(suspects, hidden, parts),
        *_about_classes(parts, evaluation),
        *_about_the_run(parts, takes_validation),
    ]
    return tuple(sorted(found, key=lambda advice: ("fix", "check", "do").index(advice.kind)))


def some(names: Sequence[str], limit: int = 5) -> str:
    """Names for a sentence, the first few of many.

    Example:
        >>> some(["cat", "dog", "elk"], limit=2)
        'cat, dog and 1 more'
    """
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def _empty(parts: Mapping[str, PartLabels]) -> list[str]:
    return [part for part, labels in parts.items() if not labels.images]


def _about_files(pictures: Mapping[str, Pictures]) -> Iterator[Advice]:
    for part, looked in pictures.items():
        name = PART_NAMES[part]
        if looked.missing:
            yield Advice(
                "fix",
                f"Of {looked.images} {name} pictures, {looked.missing} {_is(looked.missing)} not "
                f"there, first {looked.missing_files[0]}. Correct the folder or the extension in "
                "`data`, unpack what is missing, or take these rows out; training does not start "
                "without them.",
            )
        if looked.broken:
            file, reason = next(iter(looked.broken.items()))
            yield Advice(
                "fix",
                f"Of {looked.decoded} {name} pictures that were decoded, {len(looked.broken)} "
                f"{_is(len(looked.broken))} broken, first {file} ({reason}). Fetch them again, or "
                "leave them out with data.on_image_error=skip.",
            )
        if looked.tiny:
            yield Advice(
                "check",
                f"{_pictures(looked.tiny, name)} below 32 pixels, first "
                f"{next(iter(looked.tiny))}: icons or thumbnails among the photographs?",
            )
        if looked.extreme:
            yield Advice(
                "check",
                f"{_pictures(looked.extreme, name)} more than four times as long as wide, "
                f"first {next(iter(looked.extreme))}. A square crop sees little of them.",
            )


def _about_leaks(
    same: Sequence[Sequence[Place]], groups: Sequence[SharedGroups], parts: Mapping[str, PartLabels]
) -> Iterator[Advice]:
    across = [places for places in same if _is_across(places)]
    if across:
        between = " and ".join(PART_NAMES[part] for part in parts)
        yield Advice(
            "fix",
            f"{_pictures(across)} in more than one of the parts {between}, first "
            f"{across[0][0].file}. Results on them look better than they are: keep each in one "
            "part only.",
        )
    within = [places for places in same if not _is_across(places)]
    if within:
        yield Advice(
            "check",
            f"{_pictures(within)} there more than once within a part, first {within[0][0].file}. "
            "Such a picture counts, and is drawn, once for each copy.",
        )
    for shared in groups:
        earlier, later = (PART_NAMES[part] for part in shared.parts)
        yield Advice(
            "fix",
            f"{shared.groups} groups (patients, videos), first {shared.first}, have images in "
            f"{earlier} and {later}; {shared.images} {later} images are concerned. Results on them "
            "look better than they are: split by group.",
        )


def _about_looks(similar: Sequence[Sequence[Place]]) -> Iterator[Advice]:
    across = [places for places in similar if _is_across(places)]
    if similar:
        yield Advice(
            "check",
            f"Pictures that look the same though their files differ: {len(similar)} times, "
            f"{len(across)} of them across parts, first "
            f"{some([place.file for place in (across or similar)[0]])}. Where they are copies, "
            "keep them in one part: mlt split --check-duplicates near",
        )


def _about_labels(
    suspects: Sequence[Suspect], hidden: Sequence[Hidden], parts: Mapping[str, PartLabels]
) -> Iterator[Advice]:
    if suspects:
        first = suspects[0]
        yield Advice(
            "check",
            f"{_pictures(suspects)} there with labels that contradict each other, first "
            f"{first.images[0].file} and {first.images[1].file} ({some(first.disagreed)}). At "
            "least one of them is wrong.",
        )
    if hidden:
        worst = max(hidden, key=lambda h: (h.share, h.images))
        without = f"and {worst.alone} without it" if worst.alone else "and none without it"
        yield Advice(
            "check",
            f"{len(hidden)} {'class hides' if len(hidden) == 1 else 'classes hide'} behind a more "
            "frequent one. Most of all "
            f"{worst.name}: {worst.together} of its {worst.images} training images show "
            f"{worst.behind} too (of all images {worst.expected_share:.0%}), {without}. Look "
            "whether a model has learned the class or its company: the section on pairs of "
            "`mlt report` shows it.",
        )
    train = parts.get("train")
    unknown = sum(train.unknown.values()) if train else 0
    if train and not unknown and 0 < MANY_UNLABELLED * train.images <= train.without_label:
        yield Advice(
            "check",
            f"{train.without_label} of {train.images} training images have no label. They are "
            "learned as showing none of the classes: is that what is meant?",
        )
    if train and unknown:
        entries = train.images * len(train.class_counts)
        yield Advice(
            "do",
            f"{unknown / entries:.0%} of the training labels are unknown. Losses and metrics leave "
            "them out, so every class is judged on the images that were checked for it.",
        )


def _about_classes(
    parts: Mapping[str, PartLabels], evaluation: Evaluation | None
) -> Iterator[Advice]:
    counts = parts["train"].class_counts if "train" in parts else {}
    if untrained := [name for name, n in counts.items() if not n]:
        yield Advice(
            "check",
            f"{_classes(untrained)} no training image: {some(untrained)}. Nothing can be learned "
            "of them: take them out of the classes (data.class_names), or find images.",
        )
    if evaluation is not None:
        yield from _about_intervals(evaluation)


def _about_the_run(parts: Mapping[str, PartLabels], takes_validation: bool) -> Iterator[Advice]:
    if takes_validation and "train" in parts and "validation" not in parts:
        yield Advice(
            "do",
            "There is no validation part, so the best epoch and thresholds would be chosen on the "
            "test images. Name one in data.validation, or cut one out of the training images: "
            "--set 'data.validation={fraction: 0.1}'",
        )
    if "train" not in parts:
        return
    trained = [n for n in parts["train"].class_counts.values() if n]
    one_each = all(part.one_each for part in parts.values())
    plain = "ce" if one_each else "bce"
    rebalanced = "balanced_softmax cb_softmax" if one_each else "sqrt_inverse cb_focal"
    if trained and max(trained) >= LONG_TAILED * min(trained):
        yield Advice(
            "do",
            f"The most frequent class has {max(trained)} training images, the rarest {min(trained)}"
            f": {max(trained) / min(trained):.0f} to 1. Compare cross entropy with a rebalanced "
            f"loss: mlt compare CONFIG --losses {plain} {rebalanced} --seeds 3",
        )
    elif trained:
        yield Advice(
            "do",
            f"The classes are balanced ({max(trained)} to {min(trained)} training images): start "
            f"with cross entropy, {{preset: {plain}}}.",
        )


def _about_intervals(evaluation: Evaluation) -> Iterator[Advice]:
    positives = evaluation.positives
    if untested := [name for name, n in positives.items() if not n]:
        yield Advice(
            "check",
            f"{_classes(untested)} no test image: {some(untested)}. Average precision is undefined "
            "for them, and they are in no mean; a split stratified by class would give them some.",
        )
    if few := sorted((n, name) for name, n in positives.items() if 0 < n < FEW_POSITIVES):
        names = [f"{name} ({n})" for n, name in few]
        total = half_width(evaluation.means["total"])
        mean = f" The mean over all classes will be known to about {total} points." if total else ""
        yield Advice(
            "do",
            f"{_classes(few)} fewer than {FEW_POSITIVES} test images: {some(names)}. One by "
            "one, an interval says little about such classes; compare methods by the means of "
            f"head, medium and tail.{mean}",
        )


def _is_across(places: Sequence[Place]) -> bool:
    return len({place.part for place in places}) > 1


def _is(count: int) -> str:
    return "is" if count == 1 else "are"


def _pictures(those: Sized, of: str = "") -> str:
    """The beginning of a sentence about so many pictures."""
    name = f"{of} picture".strip()
    return f"1 {name} is" if len(those) == 1 else f"{len(those)} {name}s are"


def _classes(names: Sequence[object]) -> str:
    return "1 class has" if len(names) == 1 else f"{len(names)} classes have"
