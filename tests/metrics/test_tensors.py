"""Every public metric takes tensors as it takes arrays: any type, layout, device, with a graph."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
import torch

import mlt.metrics as metrics
from mlt.arrays import as_array
from mlt.errors import DataError
from mlt.predictions import Predictions

RNG = np.random.default_rng(0)
TARGETS = RNG.random((60, 3)) < 0.4
# Few bits, so that every type holds them exactly.
LOGITS = (RNG.integers(-20, 20, (60, 3)) / 8 + 2 * TARGETS).astype(np.float32)
PROBABILITIES = np.clip(LOGITS / 8 + 0.5, 0, 1)
KNOWN = RNG.random((60, 3)) < 0.8


def plain(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(values.copy())


VARIANTS: dict[str, Callable[[np.ndarray], torch.Tensor]] = {
    "float32": plain,
    "bfloat16": lambda v: plain(v).to(torch.bfloat16) if v.dtype.kind == "f" else plain(v),
    "float16": lambda v: plain(v).to(torch.float16) if v.dtype.kind == "f" else plain(v),
    "with a graph": lambda v: plain(v).requires_grad_() * 1 if v.dtype.kind == "f" else plain(v),
    "not contiguous": lambda v: torch.from_numpy(np.ascontiguousarray(v.T)).T,
    "integer targets": lambda v: plain(v) if v.dtype.kind == "f" else plain(v).long(),
    "float targets": lambda v: plain(v).float(),
}

FUNCTIONS: dict[str, Callable[..., object]] = {
    "average_precision": lambda t, s, p, k: metrics.average_precision(t, s, k).tolist(),
    "sample_weight": lambda t, s, p, k: metrics.average_precision(t, s, k, abs(s[:, 0])).tolist(),
    "micro": lambda t, s, p, k: metrics.micro_average_precision(t, s, k),
    "intervals": lambda t, s, p, k: metrics.average_precision_intervals(t, s, k).to_json(),
    "ranking": lambda t, s, p, k: metrics.ranking_metrics(t, s, k),
    "decide": lambda t, s, p, k: metrics.decide(s, s[0]).tolist(),
    "top_k": lambda t, s, p, k: metrics.top_k(s, 2, k).tolist(),
    "rates": lambda t, s, p, k: metrics.precision_recall_f1(t, s > 0, k),
    "reliability": lambda t, s, p, k: metrics.reliability(t, p, k),
    "curve": lambda t, s, p, k: metrics.reliability_curve(t, p, k).to_json(),
    "calibration": lambda t, s, p, k: metrics.fit_calibration(t, s, k),
    "apply": lambda t, s, p, k: metrics.Calibration.identity("abc").apply(s).tolist(),
    "thresholds": lambda t, s, p, k: metrics.tune_thresholds(t, s, k),
    "decision": lambda t, s, p, k: metrics.Decision.plain("abc").labels(s).tolist(),
}


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
def test_a_tensor_gives_what_its_array_gives(
    function: Callable[..., object], variant: Callable[[np.ndarray], torch.Tensor]
) -> None:
    arrays = TARGETS, LOGITS, PROBABILITIES.astype(np.float32), KNOWN
    tensors = [variant(values) for values in arrays]
    # Of what the tensors hold: bfloat16 rounds the probabilities.
    held = [as_array(tensor.detach().float()) for tensor in tensors]
    expected = function(held[0].astype(bool), held[1], held[2], held[3].astype(bool))
    assert function(*tensors) == expected


@pytest.mark.parametrize("name", ["float32", "with a graph", "not contiguous", "float targets"])
def test_an_evaluation_of_tensors(name: str) -> None:
    targets, logits, known = (VARIANTS[name](values) for values in (TARGETS, LOGITS, KNOWN))
    counts = [150, 30, 4]
    expected = metrics.summarize(LOGITS, TARGETS, known=KNOWN, class_counts=counts)
    found = metrics.summarize(logits, targets, known=known, class_counts=torch.tensor(counts))
    assert found.to_json() == expected.to_json()
    assert found.group_sizes == {"head": 1, "medium": 1, "tail": 1}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_logits_of_half_precision_are_not_kept(dtype: torch.dtype) -> None:
    """They would be converted without a word, and images that the model tells apart be tied."""
    with pytest.raises(DataError, match=r"must be float32.*got torch\.b?float16"):
        metrics.summarize(plain(LOGITS).to(dtype), TARGETS)
    with pytest.raises(DataError, match="Half precision makes ties"):
        Predictions.from_arrays(plain(LOGITS).to(dtype), TARGETS)


@pytest.mark.parametrize("device", ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"])
def test_a_tensor_on_any_device(device: str) -> None:
    targets, logits = plain(TARGETS).to(device), plain(LOGITS).to(device)
    found = metrics.average_precision(targets, logits.bfloat16())
    assert found.tolist() == metrics.average_precision(TARGETS, LOGITS).tolist()


def test_thresholds_of_a_tensor() -> None:
    at = torch.tensor([0.5, -1.0, float("inf")])
    found = metrics.summarize(LOGITS, TARGETS, threshold=at).to_json()
    assert found["rates"]["threshold"] == [0.5, -1.0, "never"]
    assert found == metrics.summarize(LOGITS, TARGETS, threshold=at.tolist()).to_json()


def test_the_metrics_import_nothing_heavy() -> None:
    code = (
        "import sys, mlt.metrics as m; [getattr(m, name) for name in m.__all__];"
        "m.summarize([[1.0], [0.0], [2.0]], [[1], [0], [1]], class_counts=[9]);"
        "heavy = {'torch', 'sklearn', 'scipy.stats', 'scipy.optimize', 'matplotlib', 'pandas'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_name_is_there() -> None:
    """A file and a function of one name would hide each other in a lazy package."""
    for name in metrics.__all__:
        assert getattr(metrics, name).__name__ == name
