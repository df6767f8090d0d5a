"""Every key of the configuration is described: in the terminal, in the schema and on the page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from mlt.cli import main
from mlt.config import json_schema
from mlt.config.describe_keys import Key, describe_keys

SECTIONS = describe_keys()


def keys_of(path: str, form: str = "") -> dict[str, Key]:
    (section,) = [s for s in SECTIONS if (s.path, s.form) == (path, form)]
    return {key.path.rpartition(".")[2]: key for key in section.keys}


def test_every_key_and_section_has_a_description() -> None:
    assert [s for s in SECTIONS if not s.description] == []
    assert [key.path for s in SECTIONS for key in s.keys if not key.description] == []


def properties(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(schema, dict):
        for name, value in schema.get("properties", {}).items():
            yield f"{path}.{name}", value
        for name, value in schema.items():
            yield from properties(value, f"{path}.{name}")


def test_the_schema_describes_every_key_but_the_names_of_forms() -> None:
    found = dict(properties(json_schema()))
    undescribed = [
        path for path, value in found.items() if "description" not in value and "const" not in value
    ]
    assert len(found) > 200
    assert undescribed == []


@pytest.mark.parametrize(
    ("path", "form", "name", "type_name", "default"),
    [
        ("", "", "seed", "integer", "0"),
        ("", "", "output", "text", None),
        ("", "", "sampler", "section", "{name: shuffle}"),
        ("", "", "optimizer", "section", "see its keys"),
        ("data", "name: csv", "blank", "unknown, negative, positive", "negative"),
        ("data", "name: csv", "separator", "text or null", "null"),
        ("data", "name: csv", "class_names", "list of text or null", "null"),
        ("transforms", "name: modern", "crop_area", "list of 2 number", "[0.5, 1.0]"),
        ("loss.focusing", "name: focal", "alpha", "number or null", "null"),
        ("model", "", "prior_bias", "true or false", "true"),
        ("optimizer", "", "name", "text", "adamw"),
    ],
)
def test_type_and_default(
    path: str, form: str, name: str, type_name: str, default: str | None
) -> None:
    key = keys_of(path, form)[name]
    assert (key.type, key.default) == (type_name, default)


def test_forms_of_a_section_are_told_apart_and_shared_sections_come_once() -> None:
    forms = [s.form for s in SECTIONS if s.path == "sampler"]
    assert forms == ["name: shuffle", "name: class_aware", "name: repeat_factor", "name: weighted"]
    assert [s.path for s in SECTIONS].count("data.longtail") == 1
    assert "name" not in keys_of("sampler", "name: class_aware")


def test_the_command_prints_them_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["configs", "--keys"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    for section in SECTIONS:
        assert section.description in printed
        for key in section.keys:
            assert f"{key.path} ({key.type}; " in printed
            assert key.description in printed
