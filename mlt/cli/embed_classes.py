"""`mlt embed-classes`: class names and descriptions as the vectors of a text tower."""

from __future__ import annotations

import argparse

from mlt.cli.arguments import add_overrides, new_safetensors

DESCRIPTION = """\
Embed class names with the text tower of a vision-language model, for model.head: text.

  mlt embed-classes cat dog --model vit_base_patch16_clip_224.openai --output classes.safetensors
  mlt embed-classes --config my.yaml --model vit_base_patch16_siglip_224.webli \\
      --template "a photo of a {}." "a {} in the scene." --output classes.safetensors
  mlt embed-classes --config my.yaml --model ViT-B-16/openai --descriptions texts.json \\
      --output classes.safetensors

--model names the image tower in timm, whose text tower is found by it; or a model of open_clip. The
embeddings of a class's texts are averaged. Needs the extra: pip install 'mlt[language]'."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("classes", metavar="CLASS", nargs="*", help="class names")
    parser.add_argument("--config", metavar="CONFIG", help="take the classes of its data")
    add_overrides(parser, "data.root=FOLDER")
    parser.add_argument("--names", metavar="FILE", help="class names, one per line")
    parser.add_argument(
        "--model", metavar="MODEL", required=True, help="see above; with transformers its own names"
    )
    parser.add_argument("--output", metavar="FILE", required=True, help="CLASSES.safetensors")
    parser.add_argument(
        "--template",
        metavar="TEXT",
        nargs="+",
        action="extend",
        default=[],
        help="text with {} in place of the class name; several are averaged "
        "(default: 'a photo of a {}.', without --descriptions)",
    )
    parser.add_argument(
        "--descriptions",
        metavar="FILE",
        help="texts per class, averaged: .json or .yaml (name: [text, ...]), or .csv (class,text)",
    )
    parser.add_argument(
        "--backend",
        choices=["open_clip", "transformers"],
        default="open_clip",
        help="library of the text tower (default: %(default)s)",
    )
    parser.add_argument(
        "--weights",
        metavar="FILE",
        help="weights in place of a download: of the model, or of its text tower alone",
    )
    parser.add_argument(
        "--device", default="auto", choices=["auto", "cpu", "cuda", "mps"], help="where to compute"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the file")


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    output = new_safetensors(arguments.output, arguments.overwrite)
    names = _class_names(arguments)
    from mlt.language.class_texts import class_texts, read_descriptions

    described = (
        None if arguments.descriptions is None else read_descriptions(arguments.descriptions)
    )
    texts = class_texts(names, arguments.template, described)
    from mlt.language.embed import embed_classes
    from mlt.language.load_text_tower import load_text_tower
    from mlt.models.weights import read_tensors
    from mlt.runtime.device import pick_device

    state = None if arguments.weights is None else read_tensors(arguments.weights)
    tower = load_text_tower(
        arguments.model, arguments.backend, state, str(pick_device(arguments.device))
    )
    every = [text for of_class in texts.values() for text in of_class]
    if cut := tower.too_long(every):
        print(
            f"warning: {len(cut)} of {len(every)} texts are longer than the model reads and lose "
            f"their end, such as {cut[0]!r}"
        )
    made = embed_classes(tower, texts)
    made.save(output)
    print(
        f"{output}: {len(made.names)} classes, {len(every)} texts, width {made.width}, "
        f"from {made.model}"
        + ("" if tower.scale is None else f", which multiplies cosines by {tower.scale:.4g}")
        + ("" if tower.bias is None else f" and adds {tower.bias:.4g}")
    )
    return 0


def _class_names(arguments: argparse.Namespace) -> tuple[str, ...]:
    """From the one place that was named."""
    from mlt.errors import ConfigError

    given = {
        "class names": arguments.classes,
        "--names": arguments.names,
        "--config": arguments.config,
    }
    named = [key for key, value in given.items() if value]
    if len(named) != 1:
        raise ConfigError(
            "give the classes in one way: as names, with --names FILE, or with --config CONFIG; "
            f"got {' and '.join(named) or 'none'}"
        )
    if arguments.overrides and not arguments.config:
        raise ConfigError("--set changes the configuration of --config, which was not given")
    if arguments.classes:
        return tuple(arguments.classes)
    if arguments.names:
        from mlt.language.class_texts import read_names

        return read_names(arguments.names)
    from mlt.config import load_config
    from mlt.data.run_data import training_split
    from mlt.run_folder import RunFolder

    config = load_config(arguments.config, arguments.overrides)
    return training_split(config.data, RunFolder(config.output).cache)[1].class_names
