"""Reading configurations: overrides, strictness, and every problem at once."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest

from mlt.config import Config, dump_config, json_schema, load_config, parse_config
from mlt.config.yaml_text import dump_yaml, parse_yaml
from mlt.errors import ConfigError, MissingFileError

MINIMAL = {
    "output": "runs/x",
    "data": {"name": "digits_mlt"},
    "transforms": {"name": "plain"},
    "model": {"backbone": "resnet18", "weights": "none"},
    "loss": {"focusing": {"name": "focal"}},
    "training": {"epochs": 2},
}


def problems(**sections: object) -> list[str]:
    """The lines of the error that these sections give."""
    with pytest.raises(ConfigError) as caught:
        parse_config({**copy.deepcopy(MINIMAL), **sections}, source="my.yaml")
    return str(caught.value).splitlines()


def write(folder: Path, text: str) -> Path:
    file = folder / "my.yaml"
    file.write_text(text)
    return file


def test_every_problem_is_reported_at_once_with_its_path() -> None:
    lines = problems(
        optimizer={"lrr": 1},
        training={"epochs": "ten"},
        data={"name": "coco_ml"},
        loss={"weighting": {"name": "effective_number", "beta": 2}},
        schedule={"name": "multistep"},
        evaluation={"head": 5, "tail": 20},
        extra=1,
    )
    assert lines[0] == "my.yaml: 7 problems"
    text = "\n".join(lines)
    for expected in (
        "optimizer.lrr: unknown key; did you mean 'lr'?",
        "training.epochs: must be a valid integer, not 'ten'",
        "data: 'coco_ml' is not known; did you mean 'coco_mlt'?",
        "loss.weighting.beta: must be less than 1, not 2",
        "schedule: multistep needs milestones",
        "evaluation: tail (20) must not exceed head (5)",
        "extra: unknown key",
    ):
        assert f"  {expected}" in text


def test_impossible_combinations_are_reported_beside_faulty_keys() -> None:
    lines = problems(
        loss={"name": "zlprr"},
        training={"epochs": 5, "head_only_epochs": 9},
        schedule={"name": "multistep", "milestones": [5]},
    )
    assert lines[0] == "my.yaml: 3 problems"
    assert "  training.head_only_epochs: 9 is more than training.epochs (5)" in lines
    assert any(line.startswith("  schedule.milestones: the last milestone (5)") for line in lines)


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        ({"seed": True}, "seed: must be a valid integer, not True"),
        ({"training": {"epochs": 1.5}}, "training.epochs: must be a valid integer, not 1.5"),
        ({"optimizer": {"lr": "fast"}}, "optimizer.lr: must be a valid number, not 'fast'"),
        ({"training": {"epochs": 1, "autocast": "fp8"}}, "did you mean 'fp16'?"),
        ({"transforms": ["modern"]}, "transforms: must be an object, not ['modern']"),
        ({"data": {"root": "x"}}, "data: the key 'name' is missing"),
        ({"model": {"backbone": "r", "weights": "nope"}}, "model.weights: 'nope' is not allowed"),
        ({"model": {"backbone": "r", "weights": {"fil": "x"}}}, "model.weights.fil: unknown key"),
        ({"model": {}}, "model.backbone: is missing"),
        ({"output": ""}, "output: String should have at least 1 character"),
        ({"loss": {"reduction": "none"}}, "loss.reduction: training needs one number per batch"),
        (
            {"data": {"name": "coco_mlt", "split": "s.json", "image_ids": "i.txt"}},
            "data.split: a ready split leaves nothing for data.image_ids to do",
        ),
        ({"loss": {"preset": "db_focall"}}, "Did you mean 'db_focal'?"),
        ({"loss": {"preset": "db_focal", "options": {"gama": 1}}}, "no option 'gama'"),
        (
            {"loss": {"weighting": {"name": "effective_number", "beta": "aut"}}},
            "loss.weighting.beta: 'aut' is not allowed; did you mean 'auto'?",
        ),
    ],
)
def test_messages(sections: dict, expected: str) -> None:
    lines = problems(**sections)
    assert any(expected in line for line in lines[1:]), lines


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        ({"training": {"epochs": 2, "features": {"zz": 1}}}, "training.features.zz: unknown key"),
        ({"training": {"epochs": 2, "compile": {"zz": 1}}}, "training.compile.zz: unknown key"),
        ({"training": {"epochs": 2, "save_every": {"zz": 1}}}, "training.save_every.zz: unknown"),
        ({"evaluation": {"every": {"zz": 1}}}, "evaluation.every.zz: unknown key"),
        ({"evaluation": {"views": [{"zz": 1}]}}, "evaluation.views.0.zz: unknown key"),
        ({"evaluation": {"views": []}}, "evaluation.views: needs at least 1, not 0"),
        ({"evaluation": {"unseen": {"zz": 1}}}, "evaluation.unseen: must be a valid string"),
        ({"training": {"epochs": 2, "compile": 3}}, "training.compile: must be a valid boolean"),
    ],
)
def test_where_a_word_a_number_or_a_section_may_stand(sections: dict, expected: str) -> None:
    """One problem, under the path that the user wrote, and nothing about the other branches."""
    lines = problems(**{"model": {**MINIMAL["model"], "freeze": "all"}, **sections})
    assert len(lines) == 2, lines
    assert expected in lines[1]


def test_a_path_never_shows_what_is_not_in_the_file() -> None:
    lines = problems(model={"backbone": "r", "weights": {"fil": "x"}}, loss={"scalee": 1})
    assert [line.split(":")[0].strip() for line in lines[1:]] == [
        "model.weights.file",
        "model.weights.fil",
        "loss.scalee",
    ]


def test_overrides(tmp_path: Path) -> None:
    file = write(tmp_path, dump_yaml(MINIMAL))
    config = load_config(
        file,
        [
            "optimizer.lr=1e-4",
            "loss.weighting={name: effective_number, beta: auto}",
            "data.root=/my data",
            "training.clip_grad_norm=null",
            "schedule.name=multistep",
            "schedule.milestones=[1]",
        ],
    )
    assert config.optimizer.lr == 1e-4
    assert config.loss.weighting.beta == "auto"  # type: ignore[union-attr]
    assert config.data.root == "/my data"
    assert config.schedule.milestones == (1.0,)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optimizer.lr", "write it as KEY=VALUE"),
        ("=3", "write it as KEY=VALUE"),
        ("output.x=1", "output is 'runs/x', not a section"),
        ("a=[1", "not valid YAML"),
    ],
)
def test_bad_overrides(tmp_path: Path, override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(write(tmp_path, dump_yaml(MINIMAL)), [override])


@pytest.mark.parametrize("output", ["runs/x", "1e6", "2026-11-24", "2026-13-45", "null", "a: b"])
def test_what_is_saved_reads_back_as_the_same(tmp_path: Path, output: str) -> None:
    config = parse_config({**copy.deepcopy(MINIMAL), "output": output})
    assert load_config(write(tmp_path, dump_config(config))) == config


def test_a_date_is_text(tmp_path: Path) -> None:
    file = write(tmp_path, dump_yaml({**MINIMAL, "output": "x"}).replace("x", "2026-11-24", 1))
    assert load_config(file).output == "2026-11-24"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\na: 2", "'a' is given twice"),
        ("a: [1", "line 1, column 6: not valid YAML"),
        ("- a", "must hold sections"),
        ("", "must hold sections"),
        ("2: 3", "is not a string"),
        ("a: !!python/object/apply:os.system ['false']", "not valid YAML"),
        ("optimizer: {lr: .nan}", "optimizer.lr: nan is not a value here"),
        ("a: &a [*a]", "line 1: an anchor refers to itself"),
        ("a: &a {b: *a}", "line 1: an anchor refers to itself"),
        ("transforms: {crop_area: [.nan, 1]}", r"transforms.crop_area.0: nan is not a value here"),
        ("training: {epochs: 99999999999999999999}", "9 is not a value here"),
        ("[" * 3000, "line 1: more than 100 levels"),
        (
            "a: &a [x,x,x,x,x,x,x,x,x]\n"
            + "\n".join(
                f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]" for a, b in zip("abcdefg", "bcdefgh")
            ),
            "more than 200,000 values",
        ),
    ],
)
def test_files_that_are_no_configuration(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(write(tmp_path, text))


def test_merge_keys() -> None:
    text = "a: &a {x: 1, y: 2}\nb: &b {<<: *a, y: 3}\nc: {<<: [*b, {z: 4, x: 5}], y: 6}"
    assert parse_yaml(text) == {
        "a": {"x": 1, "y": 2},
        "b": {"x": 1, "y": 3},
        "c": {"x": 1, "y": 6, "z": 4},
    }


def test_a_missing_file_names_those_that_ship() -> None:
    with pytest.raises(MissingFileError, match="did you mean digits_mlt_cb_focal"):
        load_config("digits_mlt_cb_focl.yaml")


def test_exponents_are_numbers() -> None:
    assert parse_yaml("[1e-4, 1.5E+3, -2e5, 1_0e2]") == [1e-4, 1500.0, -2e5, 1000.0]
    assert parse_yaml("[e4, 1-4, v1e-4x]") == ["e4", "1-4", "v1e-4x"]


def test_the_schema_describes_every_section() -> None:
    schema = json.loads(json.dumps(json_schema()))
    assert set(Config.model_fields) == set(schema["properties"])
    assert schema["additionalProperties"] is False
    assert "Learning rate of the head." in json.dumps(schema)


def test_a_section_may_be_one_word() -> None:
    base = load_config("digits_mlt_bce")
    words = load_config("digits_mlt_bce", ["loss=cb_focal", "sampler=class_aware"])
    assert words == load_config(
        "digits_mlt_bce", ["loss={preset: cb_focal}", "sampler={name: class_aware}"]
    )
    assert words != base
    # A preset replaces the parts in the file; its options may be given before or after.
    whole = load_config("digits_mlt_bce", ["loss={preset: cb_focal, options: {beta: 0.99}}"])
    for preset in ("loss.preset=cb_focal", "loss=cb_focal"):
        for order in (1, -1):
            overrides = [preset, "loss.options.beta=0.99"][::order]
            assert load_config("digits_mlt_bce", overrides) == whole


def test_the_tilde_is_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    config = load_config("coco_mlt_bce", ["output=~/runs", "data.root=~/coco", "data.split=~/s"])
    assert (config.output, config.data.root) == ("/home/me/runs", "/home/me/coco")
    assert config.data.split == "/home/me/s"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("loss=cb_focl", "Did you mean 'cb_focal'"),
        ("loss=3", "loss: .*not 3"),
        ("loss=[1]", "loss: .*1"),
        ("sampler=class_awre", "did you mean 'class_aware'"),
        ("sampler=3", "sampler: .*3"),
        ("optimizer=3", "optimizer: .*3"),
    ],
)
def test_a_wrong_word_is_one_problem(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        load_config("digits_mlt_bce", [override])
    assert "1 problem\n" in str(error.value)
