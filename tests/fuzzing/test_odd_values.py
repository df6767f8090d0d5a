"""Sound structures with one value replaced by any other: nothing but a `UserError` comes out.

Bytes changed at random seldom stay JSON; here they do, and digests are right or left out. Each test
has as many examples as `MLT_FUZZ_SECONDS` says, 60 by default.
"""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from readers import COCO, DECISION, INFO, PARTITION, RESULTS, SECONDS, SPLIT
from safetensors.torch import save_file

from mlt.config import load_config, parse_config, shipped_configs
from mlt.config.yaml_text import dump_yaml, parse_yaml
from mlt.data import Partition, Split, read_coco, read_csv
from mlt.detection import evaluate_coco
from mlt.engine.position import Position
from mlt.errors import UserError
from mlt.files import with_digest
from mlt.models.checkpoint import load_checkpoint, save_checkpoint
from mlt.prediction_tables import read_predictions
from mlt.predictions import Predictions
from mlt.report.runs import load_run
from mlt.run_folder import RunFolder

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

fuzzing = settings(
    max_examples=max(10, round(SECONDS)),
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)

TEXTS = st.text(max_size=12) | st.sampled_from(["", "nan", "\ud800", "-1", "0", "path", "train"])
NUMBERS = st.sampled_from([0, 1, -1, 10**400, -(1 << 63), 1 << 63, 0.5, -0.0, 1e308, 1e-308])
SCALARS = st.none() | st.booleans() | NUMBERS | st.integers() | st.floats() | TEXTS
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path to every value in nested lists and dictionaries."""
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    return [path, *(below for key, item in items for below in places(item, (*path, key)))][:500]


def replaced(sound: Any, finite: bool = True) -> st.SearchStrategy[Any]:
    """The structure with one value replaced, removed or given a neighbour."""

    def change(place: tuple[Any, ...], value: Any, how: str) -> Any:
        changed = copy.deepcopy(sound)
        inner = changed
        for key in place[:-1]:
            inner = inner[key]
        if how == "remove":
            del inner[place[-1]]
        elif how == "add" and isinstance(inner, dict):
            inner[str(value)[:9]] = value
        else:
            inner[place[-1]] = value
        return changed

    spots = [place for place in places(sound) if place]
    values = VALUES.filter(_is_json) if finite else VALUES
    hows = st.sampled_from(["replace", "replace", "replace", "remove", "add"])
    return st.builds(change, st.sampled_from(spots), values, hows)


def _is_json(value: Any) -> bool:
    with suppress(ValueError):
        json.dumps(value, allow_nan=False).encode()
        return True
    return False


def only_user_errors(read: Callable[[], Any]) -> None:
    """Run it; whatever it raises but a `UserError` fails the test."""
    with suppress(UserError), warnings.catch_warnings(action="ignore"):
        read()


PLAIN = {
    name: parse_yaml(file.read_text(encoding="utf-8")) for name, file in shipped_configs().items()
}


@fuzzing
@given(st.sampled_from(sorted(PLAIN)).flatmap(lambda name: replaced(PLAIN[name], finite=False)))
def test_configurations(values: dict[str, Any]) -> None:
    only_user_errors(lambda: parse_config(values))


@fuzzing
@given(st.sampled_from(sorted(PLAIN)).flatmap(lambda name: replaced(PLAIN[name])))
def test_yaml(values: dict[str, Any]) -> None:
    only_user_errors(lambda: parse_config(parse_yaml(dump_yaml(values))))


@fuzzing
@given(
    st.lists(
        st.builds(
            lambda place, value: f"{'.'.join(map(str, place))}={value}",
            st.sampled_from(places(PLAIN["digits_mlt_cb_focal"])[1:]) | st.tuples(TEXTS, TEXTS),
            VALUES.map(lambda value: dump_yaml(value) if _is_json(value) else str(value)) | TEXTS,
        ),
        max_size=3,
    )
)
def test_overrides(overrides: list[str]) -> None:
    only_user_errors(lambda: load_config("digits_mlt_bce", overrides))


@fuzzing
@given(replaced(COCO))
def test_coco(content: dict[str, Any]) -> None:
    only_user_errors(lambda: read_coco(content, ".").class_counts())


@fuzzing
@given(replaced(RESULTS, finite=False))
def test_coco_results(results: list[dict[str, Any]]) -> None:
    only_user_errors(lambda: evaluate_coco(COCO, results))


@pytest.mark.parametrize("kind", [Split, Partition])
def test_splits(kind: type[Split] | type[Partition], tmp_path: Path) -> None:
    file = tmp_path / "split.json"
    (SPLIT if kind is Split else PARTITION).save(file)
    sound = json.loads(file.read_bytes())
    del sound["sha256"]

    @fuzzing
    @given(replaced(sound), st.booleans())
    def check(content: dict[str, Any], signed: bool) -> None:
        file.write_text(json.dumps(with_digest(content) if signed else content))
        only_user_errors(lambda: kind.load(file))

    check()


RECORDS = {
    "path": "a.jpg", "labels": ["cat", "dog"], "cat": 1, "dog": "0", "patient": "p1",
    "objects": [{"label": "cat", "box": [1, 2]}], "meta": {"group": 3},
}  # fmt: skip


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"labels_column": "objects.label"},
        {"labels_column": None, "group": "patient"},
        {"labels_column": "labels", "group": "meta.group"},
    ],
    ids=str,
)
def test_records(form: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"

    @fuzzing
    @given(st.lists(replaced(RECORDS), min_size=1, max_size=3))
    def check(records: list[dict[str, Any]]) -> None:
        file.write_text("".join(json.dumps(record) + "\n" for record in records))
        only_user_errors(lambda: read_csv(file, ".", **form).class_counts())

    check()


CELLS = st.sampled_from(["", "0", "1", "-1", "1.0", "nan", "a.jpg", "b.jpg", "cat|dog", "['cat']"])
TABLES = st.lists(st.lists(CELLS | st.text(max_size=6), min_size=1, max_size=4), max_size=5)


@pytest.mark.parametrize("form", [{}, {"labels_column": None}, {"layout": "long"}], ids=str)
def test_tables(form: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "a.csv"

    @fuzzing
    @given(TABLES, st.sampled_from([",", "\t", ";"]))
    def check(rows: list[list[str]], delimiter: str) -> None:
        lines = [delimiter.join(row) for row in [["path", "labels", "cat"], *rows]]
        file.write_text("\n".join(lines), encoding="utf-8", errors="replace")
        only_user_errors(lambda: read_csv(file, ".", **form).class_counts())

    check()


def test_scores(tmp_path: Path) -> None:
    scores, truth = tmp_path / "scores.csv", tmp_path / "truth.csv"

    @fuzzing
    @given(TABLES, TABLES)
    def check(first: list[list[str]], second: list[list[str]]) -> None:
        for file, rows in ((scores, first), (truth, second)):
            lines = [",".join(row) for row in [["id", "cat", "dog"], *rows]]
            file.write_text("\n".join(lines), encoding="utf-8", errors="replace")
        only_user_errors(lambda: read_predictions(scores, truth, kind="probabilities"))

    check()


def test_what_a_checkpoint_says_about_itself(tmp_path: Path) -> None:
    file = tmp_path / "a.safetensors"
    sound = json.loads(json.dumps(asdict(INFO) | {"decision": DECISION}))
    layer = torch.nn.Linear(3, 2)
    save_checkpoint(file, layer.state_dict(), INFO)

    @fuzzing
    @given(replaced(sound), st.booleans())
    def check(values: dict[str, Any], own: bool) -> None:
        # Without a digest, as files of earlier versions are.
        metadata = {key: json.dumps(value) for key, value in values.items() if key.isascii()}
        save_file(layer.state_dict(), file, metadata | {"format": "mlt.checkpoint/1"})
        only_user_errors(lambda: load_checkpoint(file, layer if own else None))

    check()


def test_files_of_a_run(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    Predictions.from_arrays([[0.5], [1.5]], [[0], [1]], class_counts=[3]).save(run.predictions)
    sound = {
        "metrics.json": {"limits": {"head": 20, "tail": 10}},
        "last.decision.json": DECISION,
        "handed_over.json": {"model": "Linear", "data": "DataLoader"},
        "config.yaml": PLAIN["digits_mlt_bce"],
        "metrics.jsonl": {"epoch": 1, "loss": 0.5, "mAP": {"total": 0.5, "tail": None}},
        "environment.json": {"python": "3", "earlier": [{}]},
    }

    @fuzzing
    @given(replaced(sound))
    def check(contents: dict[str, Any]) -> None:
        for name in sound:
            (tmp_path / name).write_text(json.dumps(contents.get(name)))
        only_user_errors(lambda: (load_run(tmp_path), load_run(tmp_path).watches_validation))
        only_user_errors(lambda: run.best_total() + run.best_total("AUROC") + run.recorded_epochs())
        only_user_errors(lambda: run.write_environment("cpu"))

    check()


def test_positions_of_a_training_state(tiny_values: dict[str, Any], tmp_path: Path) -> None:
    from mlt.engine.own import Own
    from mlt.engine.resume import go_on
    from mlt.engine.setup import prepare
    from mlt.engine.train import data_digests
    from mlt.engine.training_state import save_training_state
    from mlt.files import write_json_object

    config = parse_config(tiny_values)
    folder = RunFolder(config.output)
    setup = prepare(config, folder.cache, Own.of(None, None, None, 0))
    setup.data.split.save(folder.split)
    write_json_object(folder.data, data_digests(setup.data))
    state = setup.training.state_dict()
    assert state["position"] == vars(Position())

    @fuzzing
    @given(replaced({"position": state["position"], "optimizer": {"state": {}, "param_groups": []},
                     "scaler": {}, "loss": {}, "ema": None}))  # fmt: skip
    def check(changed: dict[str, Any]) -> None:
        with suppress(RuntimeError, OverflowError, UnicodeEncodeError):  # cannot be saved at all
            save_training_state(folder.state, state | changed)
            only_user_errors(lambda: go_on(setup, folder))

    check()
