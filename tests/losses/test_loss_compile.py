"""torch.compile and torch.export of the stateless losses."""

from __future__ import annotations

import pytest
import torch

from mlt.losses import Loss, create_loss, list_losses

COUNTS = [500, 300, 90, 20, 3, 40, 50, 7]
STATELESS = [name for name in list_losses("sigmoid") if name not in ("federated", "eqlv2")]
# One of each way through the code; the others differ in numbers only.
COMPILED = ["focal", "cb_bce", "db_focal", "asl", "ral", "hill", "ldam", "eql", "two_way", "zlpr"]

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:All class weights")]


def make(name: str) -> Loss:
    return create_loss(name, COUNTS, 1000)


def batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    logits = 4 * torch.randn(12, 8, generator=generator)
    targets = (torch.rand(12, 8, generator=generator) < 0.3).float()
    return logits, targets, torch.rand(12, 8, generator=generator) < 0.9


def run(loss, logits: torch.Tensor, *rest: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    z = logits.clone().requires_grad_()
    value = loss(z, *rest)
    value.backward()
    return value.detach(), z.grad


@pytest.mark.parametrize("name", STATELESS)
def test_the_whole_graph_is_captured(name: str) -> None:
    loss, arguments = make(name), batch()
    torch._dynamo.reset()
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    for rest in (arguments[1:2], arguments[1:], (arguments[1].bool(),)):
        expected = run(loss, arguments[0], *rest)
        torch.testing.assert_close(run(compiled, arguments[0], *rest), expected)
    with torch.autocast("cpu", torch.bfloat16):
        got = run(compiled, arguments[0], arguments[1])
    torch.testing.assert_close(got, run(loss, arguments[0], arguments[1]))


@pytest.mark.parametrize("name", COMPILED)
def test_compiled_values_and_gradients(name: str) -> None:
    loss, (logits, targets, _) = make(name), batch()
    torch._dynamo.reset()
    compiled = torch.compile(loss, fullgraph=True)
    torch.testing.assert_close(run(compiled, logits, targets), run(loss, logits, targets))


def test_the_next_epoch_recompiles_nothing() -> None:
    loss = create_loss("ldam", COUNTS, 1000, drw_epoch=2)
    logits, targets, _ = batch()
    torch._dynamo.reset()
    counter = torch._dynamo.testing.CompileCounter()
    compiled = torch.compile(loss, fullgraph=True, backend=counter)
    values = []
    for epoch in range(4):
        loss.set_epoch(epoch)
        values.append(compiled(logits, targets))
    assert counter.frame_count == 1
    assert values[0] == values[1] != values[2] == values[3]


@pytest.mark.parametrize("name", STATELESS)
def test_export(name: str) -> None:
    loss, (logits, targets, known) = make(name), batch()
    rows = torch.export.Dim("rows", min=2)
    shapes = {"logits": {0: rows}, "targets": {0: rows}, "known": {0: rows}}
    program = torch.export.export(loss, (logits, targets, known), dynamic_shapes=shapes)
    torch.testing.assert_close(
        program.module()(logits[:5], targets[:5], known[:5]),
        loss(logits[:5], targets[:5], known[:5]),
    )
    with torch.autocast("cpu", torch.bfloat16):
        torch.export.export(loss, (logits, targets))
