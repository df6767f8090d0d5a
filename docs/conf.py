"""The documentation site: `make docs` builds it into build/docs, without the network."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from configuration_keys import write_configuration_keys

import mlt

write_configuration_keys(Path(__file__).parent / "generated" / "configuration_keys.md")

project = "mlt"
author = "the mlt contributors"
copyright = author
version = release = mlt.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "myst_nb",
]
exclude_patterns = ["generated", "**.ipynb_checkpoints"]
default_role = "py:obj"  # `mlt.losses` in a docstring: a link where there is one, else code
html_theme = "furo"
html_title = f"mlt {version}"

# Docstrings: Google style, types from the signatures, short names.
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_typehints_format = "short"
autodoc_member_order = "groupwise"
autodoc_default_options = {"exclude-members": "preset, written_out"}  # told in the class's text
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
add_module_names = False
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_custom_sections = [("Options", "params_style"), ("Warns", "params_style")]

# Pages are Markdown; the two notebooks have no output in the repository and are executed here.
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
os.environ.setdefault("OMP_NUM_THREADS", "1")  # the notebooks' tensors are tiny
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_output_stderr = "remove"
