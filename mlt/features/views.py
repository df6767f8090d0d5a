"""What is shown to a backbone: views of an image, and the digests by which they are known again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import timm
import torch
from PIL import Image

import mlt
from mlt.config.training import FeaturesConfig
from mlt.data.dataset import seeded
from mlt.data.transform_settings import TransformsConfig
from mlt.data.transforms import Preprocessing, Transform, build_transforms, eval_preprocessing
from mlt.data.view_settings import ViewConfig, expand_views
from mlt.data.view_transform import view_transform
from mlt.models import Classifier
from mlt.models.adapters import plain_state
from mlt.models.checkpoint import weights_digest

__all__ = ["View", "backbone_digest", "evaluation_views", "train_views"]


@dataclass(frozen=True)
class View:
    """One way of showing an image to a backbone.

    Attributes:
        name: ``clean``, ``mirror``, ``crop 0`` and so on, or the part of the image that it shows.
        transform: From an RGB image to the network's input.
        settings: All that decides about the pixels, as values that JSON can hold.
        mirror: Show the mirror image of what the transform gives.
        draw: The number of a random view, which is drawn from the image's digest and this number:
            the same whatever else is in the data. None if there is nothing to draw.
    """

    name: str
    transform: Transform
    settings: Mapping[str, Any]
    mirror: bool = False
    draw: int | None = None

    def pixels(self, image: Image.Image, digest: bytes) -> torch.Tensor:
        """The view of an image, (3, H, W) float32.

        Args:
            image: 8-bit RGB.
            digest: SHA-256 of its bytes.
        """
        if self.draw is None:
            pixels = self.transform(image)
            return pixels.flip(-1) if self.mirror else pixels
        drawn = hashlib.sha256(digest + self.draw.to_bytes(4, "big")).digest()
        with seeded(int.from_bytes(drawn[:8], "big") >> 1):
            return self.transform(image)

    def key(self, backbone: str) -> str:
        """The digest under which the features of this view are kept.

        Args:
            backbone: What :func:`backbone_digest` gave.
        """
        about = [mlt.__version__, backbone, self.name, dict(self.settings)]
        return _sha256(json.dumps(about, sort_keys=True).encode())


def evaluation_views(
    transforms: TransformsConfig, model: Classifier, shown: Sequence[ViewConfig]
) -> list[View]:
    """What is seen of an image in evaluation.

    Args:
        transforms: The preset.
        model: Knows mean and deviation of its input.
        shown: The views that are averaged over.
    """
    form = eval_preprocessing(transforms, model.mean, model.std)
    return [_evaluation_view(form, one) for one in shown]


def _evaluation_view(form: Preprocessing, shown: ViewConfig) -> View:
    name, settings = "mirror" if shown.mirror else "clean", form.to_dict()
    if shown != ViewConfig(mirror=shown.mirror):
        # The keys of whole images stay what they are, and with them the features that are kept.
        settings |= shown.model_dump(mode="json")
        mirrored = " mirrored" if shown.mirror else ""
        name = f"{shown.place.replace('_', ' ')} at zoom {shown.zoom:.3g}{mirrored}"
    return View(name, view_transform(form, shown), settings, mirror=shown.mirror)


def train_views(
    features: FeaturesConfig, transforms: TransformsConfig, model: Classifier
) -> list[View]:
    """The views of a training image, of which each draw takes one.

    Args:
        features: Which.
        transforms: The preset; without flips there is no mirror image either.
        model: Knows mean and deviation of its input.
    """
    clean, mirror = evaluation_views(transforms, model, expand_views(["whole", "mirror"]))
    views = [clean] if features.clean else []
    if features.mirror and transforms.flip > 0:
        views.append(mirror)
    settings = transforms.model_dump(mode="json") | {"mean": model.mean, "std": model.std}
    transform = build_transforms(transforms, model.mean, model.std, train=True)
    crops = (View(f"crop {k}", transform, settings, draw=k) for k in range(features.crops))
    return [*views, *crops]


def backbone_digest(model: Classifier, name: str) -> str:
    """What the features depend on beside the pixels: architecture, weights, pooled or not.

    Args:
        model: Its weights, adapters merged into them, and batch norm's statistics.
        name: Of the architecture, as timm knows it.
    """
    about = f"{timm.__version__} {name} {weights_digest(plain_state(model.backbone))}"
    return _sha256(f"{about} feature map".encode() if model.is_spatial else about.encode())


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
