"""YAML as people write it: 1e-4 is a number, and a key given twice is a mistake."""

from __future__ import annotations

import re
from typing import Any

import yaml

from mlt.errors import ConfigError

__all__ = ["dump_yaml", "parse_yaml"]


_LARGEST = 200_000
"""Values that a document may have, each as often as aliases repeat it."""


_DEEPEST = 100
"""Levels that a document may have; PyYAML needs seconds for some hundreds of them."""


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with YAML 1.2's floats, and no document nested without end."""

    _depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Compose a node and what is below it."""
        self._depth += 1
        if self._depth > _DEEPEST:
            line = self.peek_event().start_mark.line + 1
            raise ConfigError(f"line {line}: more than {_DEEPEST} levels, one within the other")
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


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
        ConfigError: If the text is not YAML, gives a key twice, or has an anchor that refers to
            itself or is repeated without end; names the line.

    Example:
        >>> parse_yaml("lr: 1e-4")
        {'lr': 0.0001}
    """
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _size(node, {})
        return loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ConfigError(f"{where}not valid YAML: {error.problem or error.context}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"not valid YAML: {error}") from error


def _size(node: yaml.Node, sizes: dict[yaml.Node, int]) -> int:
    """Count the values below a node, each as often as aliases repeat it, and check its keys."""
    line = f"line {node.start_mark.line + 1}"
    if node in sizes:
        if not sizes[node]:
            raise ConfigError(f"{line}: an anchor refers to itself")
        return sizes[node]
    sizes[node] = 0  # until it is known
    below: list[yaml.Node] = []
    if isinstance(node, yaml.MappingNode):
        _check_keys([key for key, _ in node.value], line)
        below = [value for _, value in node.value]
    elif isinstance(node, yaml.SequenceNode):
        below = node.value
    size = 1 + sum(_size(one, sizes) for one in below)
    if size > _LARGEST:
        raise ConfigError(f"{line}: more than {_LARGEST:,} values; aliases repeat them too often")
    sizes[node] = size
    return size


def _check_keys(nodes: list[yaml.Node], line: str) -> None:
    keys = []
    for node in nodes:
        merges = node.tag == "tag:yaml.org,2002:merge"
        if not merges and node.tag != "tag:yaml.org,2002:str":
            shown = node.value if isinstance(node, yaml.ScalarNode) else "of several values"
            raise ConfigError(f"{line}: the key {shown} is not a string; put it in quotes")
        if not merges and node.value in keys:
            raise ConfigError(f"{line}: the key {node.value!r} is given twice in one section")
        keys.append(node.value)


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
