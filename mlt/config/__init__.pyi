from .config import Config as Config
from .difference import changed_keys as changed_keys
from .load import (
    dump_config as dump_config,
    json_schema as json_schema,
    load_config as load_config,
    parse_config as parse_config,
    shipped_configs as shipped_configs,
)
