"""YAML as people write it: 1e-4 is a number, and a key given twice is a mistake."""

from __future__ import annotations

import re
from typing import Any

import yaml

from mlt.errors import ConfigError

__all__ = ["dump_yaml", "parse_yaml"]


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with YAML 1.2's floats and without silent duplicate keys."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if not isinstance(key, str) and key != "<<":
                line = node.start_mark.line + 1
                raise ConfigError(f"line {line}: the key {key!r} is not a string; put it in quotes")
            if keys.count(key) > 1:
                line = node.start_mark.line + 1
                raise ConfigError(f"line {line}: the key {key!r} is given twice in one section")
        return super().construct_mapping(node, deep=deep)


# PyYAML follows YAML 1.1, where a float needs a dot and a signed exponent: 1e-4 is a string there.
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:[0-9][0-9_]*)(?:\.[0-9_]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


# Dates are text here: no key of a configuration wants one, and JSON has none.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in _Loader.yaml_implicit_resolvers.items()
}


class _Dumper(yaml.SafeDumper):
    """Quotes the texts that the loader would take for numbers."""


_Dumper.yaml_implicit_resolvers = _Loader.yaml_implicit_resolvers


def parse_yaml(text: str) -> Any:
    """Read one YAML document with the safe loader.

    Args:
        text: The document.

    Returns:
        Plain Python values.

    Raises:
        ConfigError: If the text is not YAML, or gives a key twice; names the line.

    Example:
        >>> parse_yaml("lr: 1e-4")
        {'lr': 0.0001}
    """
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ConfigError(f"{where}not valid YAML: {error.problem or error.context}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"not valid YAML: {error}") from error


def dump_yaml(value: Any) -> str:
    """Write plain Python values as YAML, keys in their order.

    Example:
        >>> print(dump_yaml({"b": 1, "a": [1, 2]}), end="")
        b: 1
        a: [1, 2]
    """
    return yaml.dump(
        value, Dumper=_Dumper, sort_keys=False, default_flow_style=None, allow_unicode=True
    )
