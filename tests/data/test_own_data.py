"""Data given from Python: what is learnt of it, what is refused, and that the loader treats it as
it treats image files.
"""

from __future__ import annotations

import logging
import multiprocessing
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset

from mlt.data import LabelTable
from mlt.data.loader import Batch, build_loader
from mlt.data.own_data import own_data, own_parts
from mlt.data.samplers import ShuffleSampler
from mlt.errors import ConfigError, DataError, MissingFileError

NAMES = ["cat", "dog", "yeti"]
TARGETS = [[1, 0, 0], [1, 1, 0], [0, 0, 0], [0, 1, 0], [1, 0, 1]]


IMAGE = torch.zeros(3, 4, 4)
GOOD = (IMAGE, [1, 0, 0])


class Own(Dataset):
    """Five images; counts how often one is read."""

    class_names = NAMES

    def __init__(self, **attributes: Any) -> None:
        self.rows = [torch.tensor(row, dtype=torch.float32) for row in TARGETS]
        self.reads = 0
        for name, value in attributes.items():
            setattr(self, name, value)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: int) -> Any:
        self.reads += 1
        return torch.full((3, 4, 4), float(row)), self.rows[row]


class Items(Own):
    """The items that it is made of."""

    def __init__(self, *items: Any, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.rows = list(items)

    def __getitem__(self, row: int) -> Any:
        return self.rows[row]


def plain(image: Image.Image) -> torch.Tensor:
    raise AssertionError("the configured transform is not for tensors")


def batches(dataset: Any, part: str = "train", **options: Any) -> list[Batch]:
    loaded = own_parts({part: dataset})[part].dataset(plain, options.pop("on_error", "raise"))
    return list(build_loader(loaded, batch_size=2, workers=options.pop("workers", 0), **options))


# --- labels ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [list, np.array, torch.tensor, lambda t: torch.tensor(t).bool()])
def test_a_targets_attribute_spares_reading(kind: Any) -> None:
    dataset = Own(targets=kind(TARGETS))
    table = own_parts({"train": dataset})["train"].table
    assert dataset.reads == 1  # what its images are
    assert table.targets(range(5)).tolist() == TARGETS
    assert (table.class_names, table.known, table.paths) == (tuple(NAMES), None, None)
    assert table.image_ids.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("workers", [0, 2])
def test_without_targets_every_item_is_read_once(
    workers: int, caplog: pytest.LogCaptureFixture
) -> None:
    dataset = Own()
    with caplog.at_level(logging.INFO, "mlt"):
        table = own_parts({"train": dataset}, workers)["train"].table
    assert table.targets(range(5)).tolist() == TARGETS
    assert dataset.reads == (0 if workers else 5) + 1  # what its images are
    assert "data['train'] has no attribute targets: reading its 5 items once" in caplog.text


def test_known_of_items_and_of_the_attribute() -> None:
    known = [[True, True, False]] * 5
    known[4] = [True, True, True]
    items = Items(*((torch.zeros(3, 4, 4), t, k) for t, k in zip(TARGETS, known)))
    for dataset in (items, Own(targets=TARGETS, known=np.array(known))):
        table = own_parts({"train": dataset})["train"].table
        assert table.known_mask(range(5)).tolist() == known
        (first, *_) = batches(dataset)
        assert first.known is not None and first.known.tolist() == known[:2]
    assert table.class_counts().known.tolist() == [5, 5, 1]


def test_soft_targets_reach_the_loss_and_count_from_a_half_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    soft = [[0.5, 0.25, 1.0], [0.49, 0.0, 0.0]]
    items = Items(*((torch.zeros(3, 4, 4), torch.tensor(t)) for t in soft))
    with caplog.at_level(logging.INFO, "mlt"):
        table = own_parts({"train": items})["train"].table
    assert "targets between 0 and 1; from 0.5 on they count as labels" in caplog.text
    assert table.targets([0, 1]).tolist() == [[1, 0, 1], [0, 0, 0]]
    np.testing.assert_allclose(batches(items)[0].targets, soft)


@pytest.mark.parametrize("name", ["image_ids", "ids"])
def test_ids(name: str) -> None:
    for ids in (list("abcde"), np.array([9, 7, 5, 3, 1]), torch.tensor([9, 7, 5, 3, 1])):
        table = own_parts({"train": Own(targets=TARGETS, **{name: ids})})["train"].table
        assert list(table.image_ids) == list(ids)
    with pytest.raises(DataError, match=r"data\['train'\] has 5 items but 2 image ids"):
        own_parts({"train": Own(targets=TARGETS, **{name: [1, 2]})})
    with pytest.raises(DataError, match="more than once: 1"):
        own_parts({"train": Own(targets=TARGETS, **{name: [1, 2, 1, 3, 4]})})


# --- the parts of a run ---------------------------------------------------------------------------


def test_the_parts_of_a_run(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    table = LabelTable.from_lists(["a"], ["a.png"], NAMES, [[2]], tmp_path)
    parts = own_parts({"test": table, "train": Own(targets=TARGETS), "validation": Own()})
    assert list(parts) == ["train", "validation", "test"]
    data = own_data(parts)
    assert data.train is parts["train"].table and data.test is table
    assert data.validation is parts["validation"].table
    assert (data.split.name, data.split.image_ids) == ("own", (0, 1, 2, 3, 4))
    assert data.split.class_counts == (3, 2, 1)
    image = parts["test"].dataset(lambda image: torch.tensor(image.size))[0].image
    assert image is not None and image.tolist() == [8, 8]


def test_tables_of_the_same_files_are_noted(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    table = LabelTable.from_lists(["a"], ["a.png"], NAMES, [[0, 1, 2]], tmp_path)
    notes = own_data(own_parts({"train": table, "test": table})).notes
    assert notes == (
        "warning: 1 of 1 test images are training images too; results on them look better than "
        "they are",
    )


def test_absent_image_files_are_named(tmp_path: Path) -> None:
    table = LabelTable.from_lists(["a"], ["a.png"], NAMES, [[2]], tmp_path)
    with pytest.raises(MissingFileError, match=r"1 of 1 test images .* first .*a\.png"):
        own_parts({"test": table})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"train": Own(), "test": Own(), "val": Own()}, "part 'val'; parts are train, valid"),
        ([Own()], "must be a mapping such as .*, got list"),
        ({"train": TensorDataset(torch.zeros(2))}, "a TensorDataset, has no class_names; set them"),
        ({"train": Subset(Own(), [1])}, "a Subset, has no class_names"),
        ({"train": Own(class_names="cat")}, "has no class_names"),
        ({"train": [GOOD]}, "a list has no attributes: make it a Dataset"),
        ({"train": Own(class_names={"cat", "dog", "yeti"})}, "a set; expected a list"),
        ({"train": Own(class_names={"cat": 0, "dog": 1, "yeti": 2})}, "a dict; expected a list"),
        ({"train": Own(class_names=3)}, "class_names is 3, a int; expected a list"),
        ({"train": Own(class_names=[])}, "expected a list of at least one name"),
        ({"test": DataLoader(Own())}, r"data\['test'\] is a DataLoader; give its data set"),
        ({"test": 7}, "is a int, which cannot be asked for item 7"),
    ],
)
def test_what_is_not_data_is_refused(given: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        own_parts(given)


def test_a_stream_is_refused() -> None:
    class Stream(IterableDataset):
        class_names = NAMES

        def __iter__(self) -> Iterator[Any]:
            return iter(())

    with pytest.raises(ConfigError, match=r"is a Stream, which .* expected .* a map-style"):
        own_parts({"train": Stream()})


@pytest.mark.parametrize("absent", ["train", "test"])
def test_training_needs_both(absent: str) -> None:
    parts = own_parts({name: Own() for name in ("train", "test") if name != absent})
    with pytest.raises(ConfigError, match=f"no part '{absent}', the images .*; its parts are"):
        own_data(parts)


def test_classes_must_be_the_same_in_all_parts() -> None:
    other = Own(class_names=["cat", "cow", "yeti"])
    with pytest.raises(DataError, match=r"train and test .* only in train: dog; only in test: cow"):
        own_parts({"train": Own(), "test": other})
    with pytest.raises(DataError, match="more than once: cat"):
        own_parts({"train": Own(class_names=["cat", "cat", "dog"])})


def test_an_empty_part_is_named() -> None:
    with pytest.raises(DataError, match=r"data\['test'\] is empty"):
        own_parts({"train": Own(), "test": Items()})
    with pytest.raises(DataError, match=r"data\['test'\] is empty"):
        own_parts({"test": LabelTable.from_lists([], [], NAMES, [])})


# --- what is wrong with targets and items ---------------------------------------------------------


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"targets": TARGETS[:4]}, r"targets has the shape \(4, 3\), but \(5, 3\) is expected"),
        ({"targets": [0.0, 1, 2, 0, 1]}, r"the shape \(5,\), but \(5, 3\).*one row per image"),
        ({"targets": [0, 1, 2]}, r"the shape \(3,\), but \(5, 3\)"),
        ({"targets": [0, 1, 3, 0, 1]}, "one of the targets is the class 3, but the 3 class_names"),
        ({"targets": [0, 1, -1, 0, 1]}, "one of the targets is the class -1"),
        ({"targets": [0] * 5, "class_names": ["x"]}, r"the shape \(5,\), but \(5, 1\)"),
        ({"targets": [[0], [1, 2]]}, "targets cannot be made into an array"),
        ({"targets": [*TARGETS[:4], [0, 2, 0]]}, "targets of item 4 is 2 for 'dog', expected 0 to"),
        ({"targets": [[0, 0, -1.0], *TARGETS[1:]]}, "of item 0 is -1.0 for 'yeti'.*False in known"),
        ({"targets": [[0, 0, np.nan], *TARGETS[1:]]}, "targets of item 0 is nan for 'yeti'"),
        ({"targets": [["a", "b", "c"]] * 5}, "targets must be numbers"),
        ({"targets": np.ma.masked_equal(TARGETS, 1)}, "targets is a masked array that hides"),
        ({"targets": TARGETS, "known": [[True] * 3]}, r"known has the shape \(1, 3\), but \(5, 3"),
        ({"targets": TARGETS, "known": np.full((5, 3), 2)}, "known must be True where"),
        ({"targets": TARGETS, "known": np.zeros((5, 3))}, "item 0 has the label 'cat', .* not kno"),
    ],
)
def test_wrong_attributes(attributes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=rf"data\['train'\].*{message}"):
        own_parts({"train": Own(**attributes)})


@pytest.mark.parametrize("how", ["read", "loaded", "worker"])
@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({"image": IMAGE, "labels": 1}, r"is a dictionary with the keys image, labels; expected a"),
        (IMAGE, "is a Tensor; expected a tuple"),
        ((IMAGE,), "is a tuple of 1; expected"),
        ((np.zeros((3, 4, 4)), [1, 0, 0]), "the image is a numpy.ndarray, expected an image of Pi"),
        ((IMAGE, [1, 0]), r"the target has the shape \(2,\), but \(3,\) is expected for the 3"),
        ((IMAGE, 2.0), r"the target has the shape \(\), but .* one number per class, 1 where"),
        ((IMAGE, 3), "the target is the class 3, but the 3 class_names are 0 to 2"),
        (
            (IMAGE, {"object": []}),
            r"must be numbers in \[0, 1\], got a dict, {'object': \[\]}: exp",
        ),
        ((IMAGE, "cat"), r"must be numbers in \[0, 1\], got a str, cat: expected the shape \(3,\)"),
        ((IMAGE, [1, 0, 7]), "the target is 7 for 'yeti', expected 0 to 1"),
        ((IMAGE, torch.tensor([1, torch.nan, 0])), "the target is nan for 'dog'"),
        ((IMAGE, [1, 0, 0], [True]), r"known has the shape \(1,\)"),
    ],
)
def test_wrong_items(how: str, item: Any, message: str) -> None:
    """Whether labels are learnt from the items or only images are read, here or in a worker."""
    dataset = Items(GOOD, GOOD, GOOD, item)
    if how != "read":
        dataset.targets = [[1, 0, 0]] * 4
    with pytest.raises(DataError, match=rf"^data\['train'\], item 3.*{message}") as caught:
        batches(dataset, workers=2 if how == "worker" else 0)
    assert "Traceback" not in str(caught.value)


@pytest.mark.parametrize("workers", [0, 2])
def test_images_of_different_shapes(workers: int) -> None:
    dataset = Items(GOOD, GOOD, GOOD, (torch.zeros(3, 4, 5), [1, 0, 0]))
    with pytest.raises(DataError, match=r"^the images .*\(3, 4, 4\) of row 2 and \(3, 4, 5\) of"):
        batches(dataset, workers=workers)


def test_targets_of_another_order_are_noticed_in_the_results_part() -> None:
    stale = Own(targets=TARGETS[::-1])
    with pytest.raises(DataError, match=r"data\['test'\], item 0: its target is not the row 0"):
        batches(stale, "test")
    assert len(batches(stale, "train")) == 2, "a training item may be mixed"


def test_known_items_beside_targets_without_known() -> None:
    items = Items(*((IMAGE, t, [True, True, False]) for t in [[1, 0, 0]] * 2))
    items.targets = [[1, 0, 0]] * 2
    with pytest.raises(DataError, match="has no attribute `known`"):
        batches(items)


def test_items_whose_labels_are_all_known() -> None:
    """As a fully annotated test part beside a partly annotated training part."""
    everywhere = [[True] * 3] * 5
    items = Items(*((torch.zeros(3, 4, 4), t, k) for t, k in zip(TARGETS, everywhere)))
    for dataset in (items, Own(targets=TARGETS, known=np.array(everywhere))):
        assert [batch.known for batch in batches(dataset)] == [None] * 2
    items.targets = TARGETS
    assert [batch.known for batch in batches(items)] == [None] * 2


# --- through the loader ---------------------------------------------------------------------------


@pytest.mark.parametrize("names", [np.array(NAMES), tuple(NAMES)])
def test_names_as_an_array(names: Any) -> None:
    table = own_parts({"train": Own(targets=TARGETS, class_names=names)})["train"].table
    assert table.class_names == tuple(NAMES) and type(table.class_names[0]) is str


@pytest.mark.parametrize("workers", [0, 2])
def test_images_that_have_a_graph(workers: int) -> None:
    image = IMAGE.clone().requires_grad_() * 2  # in a worker, sending it would never end
    dataset = Items(*[(image, [1, 0, 0])] * 3)
    assert not batches(dataset, workers=workers)[0].images.requires_grad


class Noisy(Own):
    """Augments with each of the three generators."""

    targets = TARGETS

    def __getitem__(self, row: int) -> Any:
        noise = torch.rand(3, 4, 4) + random.random() + np.random.rand()  # noqa: NPY002
        return noise, self.rows[row]


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_depend_on_seed_and_epoch_alone(workers: int) -> None:
    dataset = own_parts({"train": Noisy()})["train"].dataset(plain)

    def epoch(number: int, workers: int, start: int = 0) -> list[Batch]:
        loader = build_loader(dataset, 2, ShuffleSampler(5, seed=1), workers, seed=1)
        loader.set_epoch(number, start)
        return list(loader)

    expected = epoch(3, 0)
    np.random.seed(0)  # noqa: NPY002
    state = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    again, resumed = epoch(3, workers), epoch(3, workers, start=1)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == state  # noqa: NPY002
    for one, two in [*zip(expected, again, strict=True), *zip(expected[1:], resumed, strict=True)]:
        assert torch.equal(one.indices, two.indices) and torch.equal(one.images, two.images)
    assert not torch.equal(expected[0].images, epoch(4, 0)[0].images)


class Broken(Own):
    """The second image cannot be read."""

    def __getitem__(self, row: int) -> Any:
        if row == 1:
            Image.open(__file__)
        return super().__getitem__(row)


@pytest.mark.parametrize("workers", [0, 2])
def test_an_image_that_cannot_be_read(workers: int) -> None:
    dataset = Broken(targets=TARGETS)
    first, *_ = batches(dataset, on_error="skip", workers=workers)
    assert first.indices.tolist() == [0]
    with pytest.raises(DataError, match=r"data\['train'\], item 1 cannot be read: cannot identify"):
        batches(dataset, workers=workers)
    with pytest.raises(DataError, match=r"item 1 cannot be read.*`targets` of the data set would"):
        own_parts({"train": Broken()})


def test_a_bug_in_a_data_set_keeps_its_traceback() -> None:
    class Bug(Own):
        targets = TARGETS

        def __getitem__(self, row: int) -> Any:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        batches(Bug(), on_error="skip")


def test_workers_end_at_once_where_loading_fails() -> None:
    """Not when the traceback is collected, by when they can only be killed after a wait."""
    before = set(multiprocessing.active_children())
    dataset = Items(GOOD, GOOD, GOOD, (IMAGE, [1, 0]))
    dataset.targets = [[1, 0, 0]] * 4
    with pytest.raises(DataError) as caught:
        batches(dataset, workers=2)
    assert caught.value.__traceback__ is not None  # holds the loader
    assert set(multiprocessing.active_children()) <= before
