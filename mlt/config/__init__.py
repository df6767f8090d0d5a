"""Typed configurations: every key of the YAML, its type, default and meaning.

Nothing here imports torch, so that `--help` and checking a configuration are instant.
"""

from mlt.config.config import Config
from mlt.config.difference import changed_keys
from mlt.config.load import dump_config, json_schema, load_config, parse_config, shipped_configs

__all__ = [
    "Config",
    "changed_keys",
    "dump_config",
    "json_schema",
    "load_config",
    "parse_config",
    "shipped_configs",
]
