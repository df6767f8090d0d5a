"""The real mmdet, without the compiled operators of mmcv.

mmdet 3.3 needs mmcv, whose wheels do not exist for today's PyTorch. Its heads and losses are
Python, though: `mmcv-lite` has everything but ``mmcv.ops``, and a finder answers those imports. The
operators that small detectors use on the way are torchvision's; any other raises when it is called.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision import ops

NUM_CLASSES = 3


class RoIAlign(ops.RoIAlign):
    """mmcv's, whose arguments are in another order and have other defaults."""

    def __init__(
        self, output_size: int, spatial_scale: float = 1.0, sampling_ratio: int = 0
    ) -> None:
        super().__init__((output_size, output_size), spatial_scale, sampling_ratio, aligned=True)


def batched_nms(
    boxes: Tensor, scores: Tensor, idxs: Tensor, nms_cfg: dict[str, Any]
) -> tuple[Tensor, Tensor]:
    """mmcv's: boxes with their scores, best first, and where they were."""
    kept = ops.batched_nms(boxes, scores, idxs, nms_cfg["iou_threshold"])
    return torch.cat([boxes[kept], scores[kept, None]], 1), kept


class Operators(ModuleType):
    """``mmcv.ops``: what is not there is a class that cannot be built."""

    RoIAlign = RoIAlign
    batched_nms = staticmethod(batched_nms)

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)

        def refuse(self: Any, *args: Any, **kwargs: Any) -> None:
            raise NotImplementedError(f"mmcv.ops.{name} is not there in mmcv-lite")

        return type(name, (nn.Module,), {"__init__": refuse})


class OperatorFinder(MetaPathFinder, Loader):
    """Answer the import of ``mmcv.ops`` and of the modules in it."""

    def find_spec(self, name: str, *args: Any) -> ModuleSpec | None:
        ours = name == "mmcv.ops" or name.startswith("mmcv.ops.")
        return ModuleSpec(name, self, is_package=True) if ours else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return Operators(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


@pytest.fixture(scope="session", autouse=True)
def real_mmdet() -> Iterator[None]:
    """Make mmdet importable; skip the tests of this folder without it."""
    if importlib.util.find_spec("mmdet") is None:
        pytest.skip("needs mmdet: pip install --no-deps -r tests/requirements-mmdet.txt")
    finder = OperatorFinder()
    sys.meta_path.insert(0, finder)
    import mmdet.models  # which registers them
    from mmengine.logging import MMLogger
    from mmengine.registry import DefaultScope

    assert mmdet.models
    MMLogger.get_instance("mmengine", log_level="WARNING")  # not each initial weight
    DefaultScope.get_instance("mmdet", scope_name="mmdet")
    yield
    sys.meta_path.remove(finder)


@pytest.fixture(scope="session")
def load_config() -> Callable[..., Any]:
    """Read a configuration that mmdet ships, and make it small."""

    def load(file: str, changes: dict[str, Any]) -> Any:
        import mmdet
        from mmengine.config import Config

        folder = Path(mmdet.__file__).parent / ".mim" / "configs"
        config = Config.fromfile(folder / file)
        config.merge_from_dict({"model": changes})
        return config.model

    return load
