"""`mlt inspect`: look at the data before training."""

from __future__ import annotations

import argparse
from pathlib import Path

from mlt.cli.arguments import add_overrides

DESCRIPTION = """\
Look at the data of a configuration before training: counts, unknown labels, rare classes behind
frequent ones, missing and broken pictures, duplicates, leaks and contradictions, how wide the
intervals of the results will be, and what to do next. Nothing is written but --html.

  mlt inspect my.yaml
  mlt inspect my.yaml --html data.html --set data.root=data/own
  mlt inspect my.yaml --json --pictures none"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("config", metavar="CONFIG", help="a YAML file, or the name of one of mlt's")
    add_overrides(parser, "data.root=data/own")
    parser.add_argument(
        "--html", metavar="FILE.html", help="also write one HTML file, with pictures"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier HTML file")
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    parser.add_argument(
        "--pictures",
        metavar="N",
        default="2000",
        help="pictures of each part to decode: a number, all, or none, which looks at no file "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--near",
        action="store_true",
        help="also find pictures that look the same though their files differ; decodes all",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    from mlt.class_groups import GroupLimits
    from mlt.config import load_config
    from mlt.inspection import inspect_data

    pictures = _number(arguments.pictures)
    html = Path(arguments.html) if arguments.html else None
    if html is not None:
        from mlt.report.page import check_output

        check_output(html, None, arguments.overwrite, option="--html")
    config = load_config(arguments.config, arguments.overrides)
    found = inspect_data(
        config.data,
        loss=config.loss,
        sampler=config.sampler,
        limits=GroupLimits(head=config.evaluation.head, tail=config.evaluation.tail),
        pictures=pictures,
        near=arguments.near,
    )
    if html is not None and found.parts:
        from mlt.files import write_text_atomic
        from mlt.inspection import inspection_page

        title = Path(arguments.config).stem
        write_text_atomic(html, inspection_page(found, title, thumbnails=pictures != 0))
    if arguments.json:
        import json

        print(json.dumps(found.to_dict(), indent=1, allow_nan=False))
    else:
        from mlt.inspection import inspection_text

        print(inspection_text(found))
        if html is not None:
            print(f"\n{f'written to {html}' if found.parts else 'no page is written'}")
    return 2 if found.errors else 0


def _number(given: str) -> int | None:
    from mlt.errors import ConfigError

    if given in ("all", "none"):
        return None if given == "all" else 0
    if not given.isdecimal():
        raise ConfigError(f"--pictures must be a number, all or none, got {given!r}")
    return int(given)
