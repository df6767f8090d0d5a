"""`mlt configs`: the configurations that come with mlt."""

from __future__ import annotations

import argparse

DESCRIPTION = """\
List the configurations that come with mlt, print one, or explain every key.

  mlt configs
  mlt configs own_data_csv > my.yaml
  mlt configs --keys
  mlt configs --schema > mlt.schema.json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("name", metavar="NAME", nargs="?", help="print this configuration")
    parser.add_argument(
        "--keys", action="store_true", help="print every key: type, default, description"
    )
    parser.add_argument(
        "--schema", action="store_true", help="print the JSON schema, for completion in editors"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    import json

    from mlt.config import json_schema, shipped_configs
    from mlt.errors import ConfigError
    from mlt.problems import did_you_mean

    if arguments.schema:
        print(json.dumps(json_schema(), indent=1))
        return 0
    if arguments.keys:
        print(_keys())
        return 0
    shipped = shipped_configs()
    if arguments.name is None:
        width = max(map(len, shipped), default=0)
        for name, file in shipped.items():
            print(f"{name:{width}}  {_purpose(file.read_text(encoding='utf-8'))}")
        return 0
    name = arguments.name.removesuffix(".yaml")
    if name not in shipped:
        raise ConfigError(f"no configuration {name!r}{did_you_mean(name, shipped)}")
    print(shipped[name].read_text(encoding="utf-8"), end="")
    return 0


def _purpose(text: str) -> str:
    """The second comment line of a shipped configuration; the first is the command that runs it."""
    comments = [line[1:].strip() for line in text.splitlines() if line.startswith("#")]
    return comments[1] if len(comments) > 1 else ""


def _keys() -> str:
    """Every key of every section, as text."""
    from textwrap import fill

    from mlt.config.describe_keys import describe_keys

    lines = []
    for section in describe_keys():
        title = section.path or "(top level)"
        form = f" {{{section.form}}}" if section.form else ""
        lines += ["", f"{title}{form}: {section.description}"]
        for key in section.keys:
            default = "required" if key.default is None else f"default {key.default}"
            lines.append(f"  {key.path}  ({key.type}; {default})")
            indent = " " * 6
            lines.append(fill(key.description, 98, initial_indent=indent, subsequent_indent=indent))
    return "\n".join(lines[1:])
