"""Which runs are one method, and which cannot be compared at all."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mlt.errors import ConfigError, DataError, MissingFileError
from mlt.metrics import Calibration, Decision, Thresholds
from mlt.report.methods import load_report
from mlt.report.runs import load_run

PLAIN = {"loss": {}}


def test_runs_that_differ_in_seed_place_and_speed_are_one_method(make_run) -> None:
    runs = [
        make_run("focal-seed0", seed=0),
        make_run("bce-seed0", seed=0, config=PLAIN),
        make_run("focal-seed1", seed=1, config={"device": "auto"}),
        make_run("other/bce-seed7", seed=7, config=PLAIN),
    ]
    report = load_report(runs)
    assert [(m.name, [r.seed for r in m.runs]) for m in report.methods] == [
        ("focal", [0, 1]),
        ("bce", [0, 7]),
    ]
    assert not report.single


def test_other_training_data_is_another_method(make_run) -> None:
    runs = [make_run("a"), make_run("b", seed=1, class_counts=np.array([30, 15, 9, 5]))]
    assert len(load_report(runs).methods) == 2


def test_a_folder_without_a_configuration_is_a_method_of_its_own(make_run) -> None:
    report = load_report([make_run(n, config=None, skill=s) for n, s in (("a", 1.0), ("b", 2.0))])
    assert [m.name for m in report.methods] == ["a", "b"]
    assert report.methods[0].first.seed is None


@pytest.mark.parametrize(
    ("folders", "names"),
    [
        (["bce-seed0", "focal-seed0"], ["bce", "focal"]),
        (["bce/seed0", "focal/seed0"], ["bce", "focal"]),  # the seed alone is not a name
        (["bce_s1", "classes2"], ["bce", "classes2"]),  # not every s and digit is a seed
    ],
)
def test_methods_are_named_by_their_folders(make_run, folders, names) -> None:
    runs = [make_run(folders[0]), make_run(folders[1], config=PLAIN)]
    assert [m.name for m in load_report(runs).methods] == names


def test_methods_of_the_same_folder_name_are_told_apart(make_run) -> None:
    runs = [make_run("x/bce"), make_run("y/bce", config=PLAIN)]
    assert [m.name for m in load_report(runs).methods] == [str(run) for run in runs]


def test_images_are_brought_into_one_order(make_run) -> None:
    first, second = make_run("a"), make_run("b", config=PLAIN)
    plain = load_run(second).predictions
    order = np.random.default_rng(3).permutation(32)
    make_run(
        "b", config=PLAIN, image_ids=plain.image_ids[order], logits=plain.logits[order],
        targets=plain.targets[order],
    )  # fmt: skip
    moved = load_report([first, second]).methods[1].first.predictions
    np.testing.assert_array_equal(moved.logits, plain.logits)


def test_runs_that_cannot_be_compared_are_refused(make_run) -> None:
    first = make_run("a")
    other_images = make_run("b", image_ids=np.arange(2, 34))
    with pytest.raises(DataError, match=r"a and .*b cannot be compared: .*different images"):
        load_report([first, other_images])
    other_classes = make_run("c", class_names=("person", "cat", "dog", "emu"))
    with pytest.raises(DataError, match=r"different classes"):
        load_report([first, other_classes])
    other_limits = make_run("d", config={"evaluation": {"head": 25, "tail": 10}})
    with pytest.raises(DataError, match=r"different limits of head and tail"):
        load_report([first, other_limits])


def test_a_run_that_is_given_twice_is_refused(make_run) -> None:
    first = make_run("a")
    with pytest.raises(ConfigError, match="given twice"):
        load_report([first, make_run("b", seed=1), Path(first.parent, ".", "a")])
    with pytest.raises(ConfigError, match="same configuration with the same seed"):
        load_report([first, make_run("copy")])


def test_the_baseline_is_a_method_or_a_run(make_run) -> None:
    runs = [make_run("focal-seed0"), make_run("bce-seed0", config=PLAIN)]
    assert load_report(runs).baseline.name == "focal"
    assert load_report(runs, "bce").baseline.name == "bce"
    assert load_report(runs, str(runs[1])).baseline.name == "bce"
    assert load_report(runs[1:], "bce").baseline.name == "bce-seed0"  # alone, with its seed
    assert [m.name for m in load_report(runs, "bce").methods] == ["bce", "focal"]
    with pytest.raises(ConfigError, match=r"no method or run 'asl' .*focal, bce"):
        load_report(runs, "asl")


def test_what_is_missing_or_damaged_is_named(make_run, tmp_path) -> None:
    with pytest.raises(ConfigError, match="at least one"):
        load_report([])
    with pytest.raises(MissingFileError, match=r"absent is not a run folder"):
        load_report([tmp_path / "absent"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingFileError, match=r"no predictions file .*empty"):
        load_report([tmp_path / "empty"])
    (tmp_path / "empty" / ".previous").mkdir()  # of a run that was killed while it replaced one
    (tmp_path / "empty" / ".previous" / "predictions.npz").touch()
    with pytest.raises(MissingFileError, match=r"no predictions file .*empty"):
        load_report([tmp_path / "empty"])
    run = make_run("a")
    with pytest.raises(MissingFileError, match=r"is a folder of 1 runs"):
        load_report([run.parent])
    (run / "config.yaml").write_text("seed: [")
    with pytest.raises(DataError, match=r"config.yaml cannot be read"):
        load_run(run)
    (run / "config.yaml").write_text("- 1")
    with pytest.raises(DataError, match=r"config.yaml does not hold"):
        load_run(run)


def test_limits_are_those_of_the_evaluation(make_run) -> None:
    run = make_run("a")
    assert (load_run(run).limits.head, load_run(run).limits.tail) == (20, 10)  # of the config
    (run / "metrics.json").write_text(json.dumps({"limits": {"head": 12, "tail": 5}}))
    assert (load_run(run).limits.head, load_run(run).limits.tail) == (12, 5)
    assert load_run(make_run("b", config=None)).limits.head == 100


def test_a_decision_is_read_and_checked(make_run, tiny_names) -> None:
    run = make_run("a")
    assert load_run(run).decision is None
    tuned = Thresholds(tuple(tiny_names), (0.5,) * 4, 0.0, "f_beta", 1.0, 10.0, (9,) * 4)
    plain = Calibration.identity(tiny_names)
    stored = {"thresholds": tuned.to_json(), "calibration": plain.to_json(), "checks": {"x": 1}}
    (run / "last.decision.json").write_text(json.dumps(stored))
    assert load_run(run).decision == Decision(plain, tuned)
    assert load_run(run).checks == {"x": 1}
    stored |= {"calibration": Calibration.identity(["cat"]).to_json(), "thresholds": None}
    (run / "last.decision.json").write_text(json.dumps(stored))
    with pytest.raises(DataError, match="different classes"):
        load_run(run)
