"""`mlt export`: a checkpoint for other runtimes."""

from __future__ import annotations

import argparse

DESCRIPTION = """\
Export a checkpoint to ONNX, or to torch.export for a file that ends in .pt2.

  mlt export runs/mine/last.safetensors --output model.onnx
  mlt export last.safetensors --output model.onnx --normalise --sigmoid --check photographs/

The file is compared with the model before it is kept. Class names, preprocessing and thresholds are
in its metadata. It is one model, shown one image: views and ensembles are not in it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="a .safetensors file of a run")
    parser.add_argument("--output", metavar="FILE", required=True, help="MODEL.onnx or MODEL.pt2")
    parser.add_argument(
        "--normalise",
        action="store_true",
        help="take RGB on the scale 0 to 1 and subtract the mean inside",
    )
    parser.add_argument(
        "--sigmoid",
        action="store_true",
        help="give probabilities (calibrated, if the checkpoint was), not logits",
    )
    parser.add_argument(
        "--check", metavar="PATHS", nargs="+", default=[], help="compare on these photographs too"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the file")


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    from pathlib import Path

    from mlt.errors import OutputExistsError

    output = Path(arguments.output)
    if output.exists() and not arguments.overwrite:
        raise OutputExistsError(f"--output: {output} exists already; --overwrite replaces it")
    from mlt.inference.export import export
    from mlt.inference.paths import find_images
    from mlt.inference.predictor import Predictor

    photographs = find_images(arguments.check)
    predictor = Predictor.from_checkpoint(arguments.checkpoint, device="cpu")
    difference = export(
        predictor,
        output,
        normalise=arguments.normalise,
        sigmoid=arguments.sigmoid,
        photographs=photographs,
    )
    images = f"{len(photographs)} photographs and " if photographs else ""
    print(
        f"{output}: {len(predictor.class_names)} classes, {output.stat().st_size / 1e6:.1f} MB; "
        f"on {images}random images at most {difference:.1e} from the model"
    )
    return 0
