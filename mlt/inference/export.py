"""Export of a checkpoint to ONNX and torch.export, checked against the model it came from."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mlt import __version__
from mlt.data.images import load_image
from mlt.data.transforms import eval_transform
from mlt.data.view_settings import ViewConfig
from mlt.errors import ConfigError, DataError
from mlt.files import atomic_write
from mlt.inference.predictor import Predictor

__all__ = ["TOLERANCE", "ExportedModel", "export"]

logger = logging.getLogger(__name__)

TOLERANCE = 1e-4
"""How far an exported file's output may be from the model's; relative where that is above 1."""

Runner = Callable[[NDArray[np.float32]], NDArray[np.float32]]


class ExportedModel(nn.Module):
    """The network as it goes into a file, with what shall be inside.

    Args:
        predictor: The model with its preprocessing and calibration.
        normalise: Take images on the scale 0 to 1 and normalise them inside.
        sigmoid: Return probabilities, calibrated if there is a calibration, and not logits: by the
            sigmoid or the softmax that the model was trained with.
    """

    def __init__(
        self, predictor: Predictor, normalise: bool = False, sigmoid: bool = False
    ) -> None:
        super().__init__()
        self.model = predictor.model
        self.normalise = normalise
        self.sigmoid = sigmoid
        form, line = predictor.preprocessing, predictor.decision.calibration
        self.softmax = line.activation == "softmax"
        self.mean: torch.Tensor
        self.std: torch.Tensor
        self.slopes: torch.Tensor
        self.intercepts: torch.Tensor
        self.register_buffer("mean", torch.tensor(form.mean).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(form.std).view(3, 1, 1))
        self.register_buffer("slopes", torch.tensor(line.slopes))
        self.register_buffer("intercepts", torch.tensor(line.intercepts))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits or probabilities (N, C) of images (N, 3, H, W)."""
        if self.normalise:
            images = (images - self.mean) / self.std
        logits = self.model(images)
        if not self.sigmoid:
            return logits
        scaled = logits * self.slopes + self.intercepts
        return scaled.softmax(-1) if self.softmax else scaled.sigmoid()


def export(
    predictor: Predictor,
    output: str | Path,
    *,
    normalise: bool = False,
    sigmoid: bool = False,
    photographs: Sequence[str | Path] = (),
) -> float:
    """Write a file for another runtime, after comparing what it gives with the model.

    The input is float32 (N, 3, size, size) with any N, RGB, resized as in evaluation. Class names,
    preprocessing, thresholds and what input and output are stand in the file's metadata: under
    ``mlt`` in ONNX's ``metadata_props``, in the extra file ``mlt.json`` of torch.export.

    Args:
        predictor: The model on the CPU.
        output: ``.onnx`` (needs the extra ``export``), or ``.pt2`` for torch.export.
        normalise: The input is on the scale 0 to 1 and is normalised inside.
        sigmoid: The output are probabilities, calibrated if the checkpoint was.
        photographs: Images to compare on too, besides random ones.

    Returns:
        The largest difference between file and model, relative where the output is above 1.

    Raises:
        ConfigError: If the suffix is another, a package is missing, or the predictor averages over
            views or models, which the file would not do.
        DataError: If the file gives something else than the model; nothing is written then.
    """
    if len(predictor.models) > 1 or predictor.views != (ViewConfig(),):
        raise ConfigError(
            "an exported file is one model that is shown one image: views and ensembles are not in "
            "it. Make the Predictor of one checkpoint, without views"
        )
    write, read = _formats(Path(output).suffix.lower())
    network = ExportedModel(predictor, normalise, sigmoid).eval()
    size = predictor.preprocessing.size
    description = json.dumps(_describe(predictor, normalise, sigmoid))
    with atomic_write(output) as temporary:
        write(network, torch.zeros(2, 3, size, size), temporary, description)
        run = read(temporary)
        difference = max(
            _difference(network, run, images)
            for images in _trials(predictor, normalise, photographs)
        )
        if not difference <= TOLERANCE:
            raise DataError(
                f"the exported file differs from the model by {difference:.2g}, more than "
                f"{TOLERANCE:g}; nothing was written. Another format may do: .onnx or .pt2"
            )
    return difference


def _describe(predictor: Predictor, normalise: bool, sigmoid: bool) -> dict[str, Any]:
    decision = predictor.decision
    limits = np.array(decision.limits)
    if sigmoid:
        line = decision.calibration
        limits = 1 / (1 + np.exp(-(limits * line.slopes + line.intercepts)))
        limits[np.array(decision.limits) == np.inf] = np.inf
    else:
        limits = np.maximum(limits, np.finfo(np.float32).min)  # JSON has no minus infinity
    scale = "on the scale 0 to 1" if normalise else "normalised by mean and std"
    return {
        "producer": f"mlt {__version__}",
        "class_names": list(predictor.class_names),
        "input": f"float32 (batch, red green blue, height, width), {scale}",
        "output": "probabilities" if sigmoid else "logits",
        # Each class by itself, or "softmax": then the class with the highest output is given.
        "activation": decision.calibration.activation,
        # On the scale of the output; null where a label is never given;
        # a label that is always given has the least output there is.
        "thresholds": None
        if decision.gives_one_label
        else [value if np.isfinite(value) else None for value in limits.tolist()],
        # A probability is the sigmoid (or softmax) of slope * logit + intercept.
        "calibration": {
            "slopes": list(decision.calibration.slopes),
            "intercepts": list(decision.calibration.intercepts),
        },
        "preprocessing": predictor.preprocessing.to_dict(),
    }


def _trials(
    predictor: Predictor, normalise: bool, photographs: Sequence[str | Path]
) -> list[torch.Tensor]:
    """Batches to compare on: of other sizes than the export saw, and real images if there are."""
    form = predictor.preprocessing
    mean, std = (torch.tensor(value).view(3, 1, 1) for value in (form.mean, form.std))
    generator = torch.Generator().manual_seed(0)
    random = torch.rand(3, 3, form.size, form.size, generator=generator)
    trials = [random[:1], random] if normalise else [((random - mean) / std)[:n] for n in (1, 3)]
    transform = eval_transform(form)
    for path in photographs:
        image = transform(load_image(path))[None]
        trials.append(image * std + mean if normalise else image)
    return trials


def _difference(network: nn.Module, run: Runner, images: torch.Tensor) -> float:
    with torch.inference_mode():
        expected = network(images).numpy()
    return float(np.max(np.abs(run(images.numpy()) - expected) / np.maximum(np.abs(expected), 1)))


def _formats(suffix: str) -> tuple[Callable[..., None], Callable[[Path], Runner]]:
    if suffix == ".pt2":
        return _write_torch, _read_torch
    if suffix != ".onnx":
        raise ConfigError(f"--output must end in .onnx or .pt2 (torch.export); got {suffix!r}")
    try:
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401 - torch's exporter needs it
    except ImportError as error:
        raise ConfigError(
            f"ONNX needs the package {error.name}: pip install 'mlt[export]'; or write a .pt2 file"
        ) from error
    del onnx, onnxruntime
    return _write_onnx, _read_onnx


def _write_torch(network: nn.Module, example: torch.Tensor, path: Path, description: str) -> None:
    program = torch.export.export(network, (example,), dynamic_shapes=_any_batch())
    torch.export.save(program, path, extra_files={"mlt.json": description})


def _read_torch(path: Path) -> Runner:
    network = torch.export.load(path).module()
    return lambda images: network(torch.from_numpy(images)).detach().numpy()


def _write_onnx(network: nn.Module, example: torch.Tensor, path: Path, description: str) -> None:
    program = torch.onnx.export(
        network,
        (example,),
        dynamic_shapes=_any_batch(),
        input_names=["images"],
        output_names=["probabilities" if network.sigmoid else "logits"],
        dynamo=True,
        verbose=False,
    )
    assert program is not None  # it is None only where a file name is given
    program.model.metadata_props["mlt"] = description
    program.save(path)


def _read_onnx(path: Path) -> Runner:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda images: session.run(None, {"images": images})[0]


def _any_batch() -> dict[str, Any]:
    return {"images": {0: torch.export.Dim("batch", min=1)}}
