"""Targets outside [0, 1] pass nowhere: eager, compiled, exported, batched, on a GPU."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from mlt.errors import DataError
from mlt.losses import create_loss, list_losses

LOGITS = torch.tensor([[0.5, -1.0, 2.0], [0.0, 1.0, -2.0]])
GOOD = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
HALF_TYPES = (torch.bfloat16, torch.float16)
Loss = Callable[..., Tensor]

CALLS: dict[str, Callable[[Loss], Loss]] = {
    "eager": lambda loss: loss,
    "aot": lambda loss: torch.compile(loss, fullgraph=True, backend="aot_eager"),
    "inductor": lambda loss: torch.compile(loss, fullgraph=True),
    "exported": lambda loss: torch.export.export(loss, (LOGITS, GOOD)).module(),
    "vmap": torch.func.vmap,
    "grad": torch.func.grad,
}
RAISES = (DataError, RuntimeError)


@pytest.fixture(autouse=True)
def _compile_afresh() -> None:
    torch._dynamo.reset()  # or the limit of recompilations is reached


def outside(bad: float) -> Tensor:
    return torch.where(torch.tensor([[False] * 3, [False, True, False]]), bad, GOOD)


@pytest.mark.parametrize("how", CALLS)
def test_refused_however_it_is_called(how: str) -> None:
    loss = CALLS[how](create_loss("focal"))
    loss(LOGITS, GOOD)
    for bad in (-1.0, 1.5, 2.0, torch.nan):
        with pytest.raises(RAISES, match="targets must lie between 0 and 1"):
            loss(LOGITS, outside(bad))


@pytest.mark.filterwarnings("ignore:.*torch.jit", "ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("how", ["traced", "compiled vmap"])
def test_nan_where_nothing_can_be_raised(how: str) -> None:
    loss: Loss = create_loss("zlpr")
    if how == "traced":
        loss = torch.jit.trace(loss, (LOGITS, GOOD))
    else:
        loss = torch.compile(torch.func.vmap(loss), fullgraph=True, backend="aot_eager")
    expected = create_loss("zlpr", reduction="none")(LOGITS, GOOD)
    torch.testing.assert_close(loss(LOGITS, GOOD), expected.mean() if how == "traced" else expected)
    assert loss(LOGITS, outside(-1.0)).isnan().any()


@pytest.mark.filterwarnings("ignore:.* changes nothing")
@pytest.mark.parametrize("name", list_losses("sigmoid"))
def test_every_loss(name: str) -> None:
    loss = create_loss(name, [3, 2, 1], 10)
    loss(LOGITS, GOOD)
    with pytest.raises(RAISES, match="targets must lie between 0 and 1"):
        loss(LOGITS, outside(-1.0))
    loss(LOGITS, outside(-1.0), known=outside(-1.0) >= 0)


@pytest.mark.parametrize(
    "dtype", [*HALF_TYPES, torch.float64, torch.int64, torch.uint8, torch.bool]
)
@pytest.mark.parametrize("how", ["eager", "aot"])
def test_one_is_inside_in_every_type(how: str, dtype: torch.dtype) -> None:
    loss = create_loss("bce")
    torch.testing.assert_close(CALLS[how](loss)(LOGITS, GOOD.to(dtype)), loss(LOGITS, GOOD))


@pytest.mark.parametrize("dtype", HALF_TYPES)
def test_one_and_a_rounding_error_is_inside(dtype: torch.dtype) -> None:
    one = torch.ones(1, 3, dtype=dtype)
    create_loss("bce")(torch.zeros(1, 3), torch.nextafter(one, 2 * one))


class Record(TorchDispatchMode):
    """Names of the operations that are run."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        self.names.append(str(func))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", ["focal", "zlpr"])
def test_a_gpu_checks_without_being_waited_for(name: str) -> None:
    loss = create_loss(name)
    # A fake tensor has no values: reading one, for which a GPU would be waited for, is an error.
    with FakeTensorMode(), Record() as record:
        loss(torch.zeros(4, 3, device="cuda"), torch.ones(4, 3, device="cuda"))
    assert "aten._assert_async.msg" in record.names
    assert not [name for name in record.names if "_local_scalar_dense" in name]
