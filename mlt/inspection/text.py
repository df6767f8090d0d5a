"""An inspection for the terminal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from textwrap import wrap

from mlt.class_groups import GROUPS
from mlt.inspection.advice import PART_NAMES, some
from mlt.inspection.duplicates import Place
from mlt.inspection.evaluation import half_width
from mlt.inspection.inspection import Inspection
from mlt.inspection.pictures import Pictures
from mlt.inspection.tables import class_table, hidden_table, part_table

__all__ = ["inspection_text", "printable", "short_text"]

WIDTH = 100
CLASSES = 40
"""Classes of the table, at most: the rarest."""
HIDDEN = 20
"""Classes behind others, at most: the rarest."""
NAMED = 10
"""Files and pairs that are named under each heading, at most."""


def inspection_text(inspection: Inspection) -> str:
    """Lay out everything, what to do next at the end.

    Args:
        inspection: What was found.

    Returns:
        Text without a trailing newline and without control characters, whatever the names are.
    """
    sections = [
        ("", _parts(inspection)),
        ("Cannot be read", _indented(f"{k}: {e}" for k, e in inspection.errors.items())),
        ("Notes", _indented(line for note in inspection.notes for line in _wrapped(note))),
        ("Classes, the rarest first", _classes(inspection)),
        ("Behind a more frequent class", _hidden(inspection)),
        ("Pictures", _pictures(inspection)),
        ("The same picture more than once", _places(inspection.same_pictures or ())),
        ("Pictures that look the same", _places(inspection.similar_pictures or ())),
        ("The same group in two parts", _groups(inspection)),
        (
            "The same picture with other labels",
            _indented(
                f"{some(s.disagreed)}: {_files(s.images)}" for s in inspection.suspects[:NAMED]
            ),
        ),
        ("What to do next", _advice(inspection)),
    ]
    shown = ["\n".join(filter(None, (title, text))) for title, text in sections if text]
    return printable("\n\n".join(shown))


def short_text(inspection: Inspection) -> str:
    """The first lines of a dry run: the parts, and what must be fixed or looked at.

    Args:
        inspection: What was found.
    """
    lines = []
    for name, part in inspection.parts.items():
        counts = part.class_counts.values()
        line = (
            f"{PART_NAMES[name]}: {part.images:,} images, {part.labels_per_image:.2f} labels each "
            f"({part.without_label:,} without), {len(counts)} classes of "
            f"{min(counts, default=0):,} to {max(counts, default=0):,} images"
        )
        lines.append(line)
        if unknown := sum(part.unknown.values()):
            share = unknown / max(part.images * len(counts), 1)
            lines[-1] += f", {share:.0%} of the labels unknown"
    groups = list(inspection.groups.values())
    if groups:
        lines.append(", ".join(f"{name} {groups.count(name)}" for name in GROUPS) + " classes")
    lines += [line for a in inspection.advice if a.kind != "do" for line in _wrapped(a.text)]
    lines.append("`mlt inspect` shows more, and looks at the pictures")
    return printable("\n".join(lines))


def printable(text: str) -> str:
    r"""Text with control characters as escapes, so that a name cannot steer the terminal.

    Example:
        >>> printable("a\x1b[2Jb\n")
        'a\\x1b[2Jb\n'
    """
    return "".join(
        c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text
    )


def _parts(inspection: Inspection) -> str:
    lines = [part_table(inspection).to_text()] if inspection.parts else []
    groups = list(inspection.groups.values())
    lines += [
        f"{name}: {groups.count(name)} with {rule} (training)"
        for name, rule in inspection.group_rules.items()
        if groups
    ]
    return "\n".join(lines)


def _classes(inspection: Inspection) -> str:
    if not inspection.parts:
        return ""
    table = class_table(inspection, CLASSES)
    left = max(len(part.class_counts) for part in inspection.parts.values()) - CLASSES
    means = inspection.evaluation.means if inspection.evaluation else {}
    lines = [table.to_text()]
    if left > 0:
        lines.insert(1, f"\n{left} more frequent classes: --html and --json have all")
    if expected := [
        f"{name} {half_width(bounds)}" for name, bounds in means.items() if bounds is not None
    ]:
        lines.append(
            f"Of the means over classes: {', '.join(expected)} points (independent classes)."
        )
    weights = inspection.rebalancing
    if weights is not None and weights.problem:
        lines.append(weights.problem)
    elif weights is not None and weights.draws_per_epoch is not None:
        lines.append(f"An epoch has {weights.draws_per_epoch:,} draws.")
    return "\n".join(lines)


def _hidden(inspection: Inspection) -> str:
    if not inspection.hidden:
        return ""
    table = hidden_table(inspection)
    left = len(table.rows) - HIDDEN
    text = replace(table, rows=table.rows[:HIDDEN]).to_text()
    return f"{text}\nand {left} more frequent ones" if left > 0 else text


def _pictures(inspection: Inspection) -> str:
    return "\n".join(
        line
        for name, looked in inspection.pictures.items()
        for line in _one_part(PART_NAMES[name], looked)
    )


def _one_part(name: str, looked: Pictures) -> Iterable[str]:
    there = looked.images - looked.missing
    yield f"{name}: {there:,} of {looked.images:,} are there; {looked.rule}"
    if looked.shorter_side is not None:
        low, middle, high = looked.shorter_side
        modes = ", ".join(f"{mode} {n:,}" for mode, n in looked.modes.items())
        yield f"  shorter side {low} to {high} pixels, median {middle}; {modes}"
    for what, files in (
        ("missing", dict.fromkeys(looked.missing_files, "")),
        ("broken", looked.broken),
        ("below 32 pixels", looked.tiny),
        ("longer than four times its width", looked.extreme),
        ("neither RGB nor 8-bit grey", looked.odd_modes),
    ):
        number = looked.missing if what == "missing" else len(files)
        if number:
            named = [f"{file} ({why})" if why else file for file, why in files.items()]
            yield f"  {number:,} {what}: {some([*named, *[''] * (number - len(named))])}"


def _places(groups: Iterable[tuple[Place, ...]]) -> str:
    found = sorted(groups, key=lambda places: len({p.part for p in places}), reverse=True)
    lines = [_files(places) for places in found[:NAMED]]
    if len(found) > NAMED:
        lines.append(f"and {len(found) - NAMED} more")
    return _indented(lines)


def _files(places: Iterable[Place]) -> str:
    return some([f"{place.part} {place.file}" for place in places])


def _groups(inspection: Inspection) -> str:
    return _indented(
        f"{' and '.join(s.parts)}: {s.groups}, first {s.first}; {s.images} {s.parts[1]} images"
        for s in inspection.shared_groups
    )


def _advice(inspection: Inspection) -> str:
    lines = []
    for advice in inspection.advice:
        first, *rest = wrap(advice.text, WIDTH - 8, break_on_hyphens=False)
        lines += [f"  {advice.kind:6}{first}", *(f"        {line}" for line in rest)]
    return "\n".join(lines)


def _wrapped(text: str) -> list[str]:
    return wrap(text, WIDTH, subsequent_indent="  ", break_on_hyphens=False)


def _indented(lines: Iterable[str]) -> str:
    return "\n".join(f"  {line}" for line in lines)
