"""Mixed images against torchvision's MixUp and CutMix, mixed labels by hand, repeated draws."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from pydantic import ValidationError
from torch import Tensor
from torchvision.transforms import v2

from mlt.data.dataset import Draw, ImageDataset, Sample, SampleDataset
from mlt.data.labels import LabelTable
from mlt.data.loader import Loader, build_loader
from mlt.data.mixing import Box, cut_box, cutmix, load_mixed, mixed_labels, mixup
from mlt.data.samplers import EpochSampler, RepeatedSampler, ShuffleSampler
from mlt.data.transform_settings import Mix, PublishedTransforms
from mlt.data.transforms import build_transforms
from mlt.errors import DataError

NUMBER = 23


class Items(SampleDataset):
    """Images that say which row they are of and which seed they were given."""

    def __init__(self, table: LabelTable, broken: tuple[int, ...] = (), **options: Any) -> None:
        super().__init__(table, **options)
        self.broken = broken

    def sample(self, row: int, *labels: torch.Tensor | None) -> Sample:
        problem = f"row {row} is broken" if row in self.broken else None
        image = None if problem else torch.rand(3, 8, 8) / 100 + row
        return Sample(row, image, *labels, problem)


def table(masked: bool = False) -> LabelTable:
    rows = range(NUMBER)
    labels = [[0] * (i % 2 == 0) + [1] * (i % 3 == 0) for i in rows]
    known = [sorted({*row, 0}) for row in labels] if masked else None
    names = [f"{i}.png" for i in rows]
    return LabelTable.from_lists(rows, names, ["even", "third"], labels, known_indices=known)


def batches(loader: Loader, epoch: int = 0, start: int = 0) -> list[Any]:
    loader.set_epoch(epoch, start)
    return list(loader)


def test_mixup_is_torchvisions() -> None:
    images, labels = torch.rand(2, 3, 8, 6), torch.tensor([0, 1])
    for seed in range(20):
        torch.manual_seed(seed)
        expected, targets = v2.MixUp(alpha=0.4, num_classes=2)(images, labels)
        weight = float(targets[0, 0])
        torch.testing.assert_close(mixup(images[0], images[1], weight), expected[0])
        target, _ = mixed_labels(
            (torch.eye(2)[0], None), (torch.eye(2)[1], None), weight, union=False
        )
        torch.testing.assert_close(target, targets[0])


def test_cutmix_is_torchvisions() -> None:
    images = torch.rand(2, 3, 31, 20)
    transform = v2.CutMix(alpha=1.0, num_classes=2)
    for seed in range(50):
        torch.manual_seed(seed)
        expected, targets = transform(images, torch.tensor([0, 1]))
        torch.manual_seed(seed)  # the same draws again: weight, column, row
        weight = float(transform._dist.sample(()))
        column, row = (int(torch.randint(size, (1,))) for size in (20, 31))
        box = cut_box(31, 20, (row, column), weight)
        assert torch.equal(cutmix(images[0], images[1], box), expected[0])
        assert 1 - box.area / (31 * 20) == pytest.approx(float(targets[0, 0]), abs=1e-6)


def test_whole_numbers_are_rounded() -> None:
    one, two = torch.tensor([255, 0], dtype=torch.uint8), torch.tensor([0, 1], dtype=torch.uint8)
    mixed = mixup(one, two, 0.75)
    assert mixed.dtype == torch.uint8
    assert mixed.tolist() == [191, 0]


# Of one class: target and known of the first image, of the second, and of the mix with the weights
# 0.75 and 0.25; of the mean, then of the union.
ONE_CLASS = [
    ((1, True), (1, True), (1.0, True), (1.0, True)),
    ((1, True), (0, True), (0.75, True), (1.0, True)),
    ((0, True), (1, True), (0.25, True), (1.0, True)),
    ((0, True), (0, True), (0.0, True), (0.0, True)),
    ((1, True), (0, False), (0.0, False), (1.0, True)),  # or: nobody needs to know the other
    ((0, False), (1, True), (0.0, False), (1.0, True)),
    ((0, True), (0, False), (0.0, False), (0.0, False)),
    ((0.5, True), (0, False), (0.0, False), (0.0, False)),
    ((0.5, True), (0.25, True), (0.4375, True), (0.5, True)),
    ((0, False), (0, False), (0.0, False), (0.0, False)),
]


@pytest.mark.parametrize(("first", "second", "mean", "union"), ONE_CLASS)
def test_labels_by_hand(first: Any, second: Any, mean: Any, union: Any) -> None:
    labels = [(torch.tensor([float(y)]), torch.tensor([known])) for y, known in (first, second)]
    for expected, is_union in ((mean, False), (union, True)):
        target, known = mixed_labels(*labels, 0.75, union=is_union)
        assert known is not None
        assert (target.item(), known.item()) == expected


@pytest.mark.parametrize("union", [False, True])
def test_an_image_that_is_not_to_be_seen_says_nothing(union: bool) -> None:
    first = torch.tensor([1.0, 0.0]), torch.tensor([True, False])
    second = torch.tensor([0.0, 1.0]), torch.tensor([False, True])
    assert mixed_labels(first, second, 1.0, union=union) == first
    assert mixed_labels(first, second, 0.0, union=union) == second


def test_mixed_targets_never_leave_0_to_1() -> None:
    generator = torch.Generator().manual_seed(0)
    ones = torch.ones(4), None
    for weight in torch.rand(2000, generator=generator, dtype=torch.float64).tolist():
        assert mixed_labels(ones, ones, weight, union=False)[0].tolist() == [1.0] * 4


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("mix", [Mix(mixup=0.4), Mix(cutmix=1.0)], ids=["mixup", "cutmix"])
def test_labels_have_the_weights_of_the_images(mix: Mix, masked: bool) -> None:
    data = Items(table(masked))
    for seed in range(30):
        sample = load_mixed(data, Draw(4, seed, partner=9), mix)  # even with a third
        assert sample.row == 4
        share = float((9 - sample.image.mean()) / 5)  # of row 4; rows differ by 5 in brightness
        assert sample.target[0].item() == pytest.approx(share, abs=0.01)
        if masked:  # row 4 does not know the second class, row 9 does
            assert sample.known.tolist() == [True, False] or sample.target[0] in (0, 1)
        else:
            assert sample.target[1].item() == pytest.approx(1 - share, abs=0.01)


def test_the_share_of_mixed_images_and_of_each_kind() -> None:
    data, kinds = Items(table()), []
    mix = Mix(mixup=1.0, cutmix=1.0, probability=0.6)
    for seed in range(500):
        image = load_mixed(data, Draw(0, seed, partner=20), mix).image
        between = ((image > 1) & (image < 20)).float().mean()
        kinds.append("mixup" if between > 0.5 else "cutmix" if image.max() >= 20 else "plain")
    counts = {kind: kinds.count(kind) / 500 for kind in ("mixup", "cutmix", "plain")}
    assert counts == pytest.approx({"mixup": 0.3, "cutmix": 0.3, "plain": 0.4}, abs=0.07)


def test_the_union_keeps_targets_binary() -> None:
    data, mix = Items(table()), Mix(mixup=1.0, labels="union")
    assert load_mixed(data, Draw(4, 1, partner=9), mix).target.tolist() == [1, 1]


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_depend_on_seed_and_epoch_alone(workers: int, tmp_path: Path) -> None:
    for number in range(NUMBER):
        Image.linear_gradient("L").resize((20 + number, 20)).save(tmp_path / f"{number}.png")
    config = PublishedTransforms(name="published", size=16)
    transform = build_transforms(config, (0.5,) * 3, (0.5,) * 3, train=True)
    names = [f"{i}.png" for i in range(NUMBER)]
    labels = LabelTable.from_lists(range(NUMBER), names, ["x"], [[0]] * NUMBER, tmp_path)
    data, mix = ImageDataset(labels, transform), Mix(mixup=0.4, cutmix=1.0)

    def loader(workers: int) -> Loader:
        return build_loader(data, 5, ShuffleSampler(NUMBER), workers, seed=3, mix=mix)

    torch.manual_seed(workers)
    whole = batches(loader(0), epoch=1)
    resumed = batches(loader(workers), epoch=1, start=2)
    for one, two in zip(whole[2:], resumed, strict=True):
        assert torch.equal(one.images, two.images)
        assert torch.equal(one.targets, two.targets)
    other = batches(loader(0), epoch=2)
    assert not torch.equal(whole[0].images, other[0].images)


def shares(replicas: int, mix: Mix | None = None) -> dict[bytes, Tensor]:
    """Targets by image of an epoch, shared out over processes."""
    found = {}
    for rank in range(replicas):
        sampler = ShuffleSampler(NUMBER, 5, replicas, rank)
        for batch in batches(build_loader(Items(table()), 4, sampler, 0, seed=5, mix=mix)):
            found |= {i.numpy().tobytes(): t for i, t in zip(batch.images, batch.targets)}
    return found


def test_processes_that_share_an_epoch_mix_what_one_would() -> None:
    mix = Mix(mixup=1.0)
    alone, together = shares(1, mix), shares(2, mix)
    assert alone.keys() == together.keys() != shares(1).keys()
    assert all(torch.equal(alone[image], together[image]) for image in alone)


def test_every_draw_is_a_partner_once() -> None:
    data = Items(table())
    loader = build_loader(data, 4, ShuffleSampler(NUMBER), 0, mix=Mix(mixup=1.0))
    draws = [draw for batch in loader._batches for draw in batch]
    assert sorted(draw.partner for draw in draws) == list(range(NUMBER))
    assert sum(draw.partner == draw.row for draw in draws) < 5


@pytest.mark.parametrize("on_error", ["raise", "skip"])
def test_a_partner_that_cannot_be_read(on_error: Any) -> None:
    data, mix = Items(table(), broken=(7,), on_error=on_error), Mix(mixup=1.0)
    sample = load_mixed(data, Draw(2, 0, partner=7), mix)
    if on_error == "raise":
        assert (sample.row, sample.image, sample.problem) == (7, None, "row 7 is broken")
    else:
        assert sample.row == 2
        assert torch.equal(sample.image, data[Draw(2, 0)].image)
    assert load_mixed(data, Draw(7, 0, partner=2), mix).image is None


class Wider(Items):
    """The second image is wider than the first."""

    def sample(self, row: int, *labels: torch.Tensor | None) -> Sample:
        return super().sample(row, *labels)._replace(image=torch.zeros(3, 8, 8 + row))


class Vectors(Items):
    """Items without height and width."""

    def sample(self, row: int, *labels: torch.Tensor | None) -> Sample:
        return super().sample(row, *labels)._replace(image=torch.zeros(8))


def test_images_that_cannot_be_mixed_are_named() -> None:
    with pytest.raises(DataError, match=r"row 0 and row 1 .*\(3, 8, 8\) and \(3, 8, 9\)"):
        load_mixed(Wider(table()), Draw(0, 0, partner=1), Mix(mixup=1.0))
    with pytest.raises(DataError, match=r"\(8,\) has no height and width"):
        load_mixed(Vectors(table()), Draw(0, 0, partner=1), Mix(cutmix=1.0))
    assert load_mixed(Vectors(table()), Draw(0, 0, partner=1), Mix(mixup=1.0)).image is not None


def test_a_box_at_the_border_is_cut_off() -> None:
    assert cut_box(10, 10, (0, 9), 0.0) == Box(0, 5, 4, 10)
    assert cut_box(10, 10, (5, 5), 1.0).area == 0


@pytest.mark.parametrize("values", [{}, {"mixup": 0}, {"cutmix": 1, "labels": "both"}])
def test_settings_without_sense_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Mix.model_validate(values)


class Steps(EpochSampler):
    """0, 1, 2, ... in any epoch."""

    def draws(self, epoch: int) -> Any:
        return torch.arange(self.num_draws).numpy()


@pytest.mark.parametrize("replicas", [1, 2])
def test_repeated_draws_are_timms(replicas: int) -> None:
    from timm.data.distributed_sampler import RepeatAugSampler

    for rank in range(replicas):
        ours = RepeatedSampler(Steps(24, 24, 0, replicas, rank), repeats=3)
        timms = RepeatAugSampler(
            range(24), replicas, rank, shuffle=False, num_repeats=3, selected_round=0
        )
        assert list(ours) == list(timms)
        assert len(ours) == len(timms) == 24 // replicas


def test_copies_are_augmented_by_themselves() -> None:
    sampler = RepeatedSampler(ShuffleSampler(NUMBER), repeats=2)
    loader = build_loader(Items(table()), 6, sampler, workers=0)
    first = batches(loader)[0]
    assert first.indices.unique().numel() == 3
    assert first.images.flatten(1).unique(dim=0).shape[0] == 6
    assert sum(len(batch.indices) for batch in batches(loader)) == NUMBER
