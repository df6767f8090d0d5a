"""The command line as users meet it: what works, and what each mistake says."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlt.cli import COMMANDS, main
from mlt.config import shipped_configs
from mlt.config.yaml_text import dump_yaml


@pytest.fixture
def config(tiny_values: dict[str, Any], tmp_path: Path) -> Path:
    """The tiny configuration as a file."""
    file = tmp_path / "tiny.yaml"
    file.write_text(dump_yaml(tiny_values))
    return file


def test_train_then_evaluate(
    config: Path, tiny_values: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", str(config), "--set", "training.epochs=2"]) == 0
    printed = capsys.readouterr().out
    assert "head" in printed
    assert "mAP in percent over 32 test images" in printed
    folder = Path(tiny_values["output"])

    assert main(["evaluate", str(config), "--checkpoint", str(folder / "last.safetensors")]) == 0
    assert capsys.readouterr().out == printed

    saved = ["evaluate", "--predictions", str(folder / "predictions.npz")]
    assert main([*saved, "--head", "20", "--tail", "10"]) == 0
    assert capsys.readouterr().out == printed
    assert main([*saved, "--classes", "--output", str(tmp_path / "results")]) == 0
    printed = capsys.readouterr().out
    assert "yeti" in printed
    assert "100 images or more" in printed  # the default limits, not the run's
    again = json.loads((tmp_path / "results" / "metrics.json").read_text())
    first = json.loads((folder / "metrics.json").read_text())
    assert again["mAP"]["total"] == first["mAP"]["total"]
    assert main([*saved, "--output", str(tmp_path / "results")]) == 2
    assert "--overwrite replaces" in capsys.readouterr().err


def test_dry_run_says_what_would_happen_and_writes_nothing(
    config: Path, tiny_values: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", str(config), "--dry-run"]) == 0
    printed = capsys.readouterr().out
    for expected in (
        "gamma: 2.0",  # the resolved configuration, defaults included
        "clip_grad_norm: null",
        "48 training images, 4 classes",
        "test images    32",
        "3 epochs of 3 updates = 9",
        "nothing was trained",
    ):
        assert expected in printed
    assert not Path(tiny_values["output"]).exists()


def test_output_and_overwrite(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["train", str(config), "--output", str(tmp_path / "a: b"), "--set"]
    assert main([*arguments, "training.epochs=0"]) == 0
    capsys.readouterr()
    assert main([*arguments, "training.epochs=0"]) == 2
    error = capsys.readouterr().err
    assert "no state to go on from, --overwrite replaces it" in error
    assert "resume=True, overwrite=True" in error
    assert main([*arguments, "seed=0", "--dry-run"]) == 0
    assert "a: b, which holds an earlier run" in capsys.readouterr().out
    assert main([*arguments, "training.epochs=0", "--overwrite"]) == 0


def test_one_command_starts_and_goes_on(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["train", str(config), "--set", "training.epochs=1", "--auto-resume"]
    assert main(command) == 0
    table = capsys.readouterr().out
    assert main(command) == 0
    assert capsys.readouterr().out == table
    with pytest.raises(SystemExit):
        main([*command, "--overwrite"])
    assert "not allowed with argument" in capsys.readouterr().err


def test_configs_are_listed_and_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["configs"]) == 0
    listed = capsys.readouterr().out
    assert "coco_mlt_cb_focal" in listed
    assert main(["configs", "own_data_csv.yaml"]) == 0
    assert capsys.readouterr().out == shipped_configs()["own_data_csv"].read_text()
    assert main(["configs", "own_data_cvs"]) == 2
    assert "did you mean 'own_data_csv'?" in capsys.readouterr().err
    assert main(["configs", "--schema"]) == 0
    assert "properties" in json.loads(capsys.readouterr().out)


def exit_code(arguments: list[str]) -> int:
    """Of `main`, or what argparse leaves with."""
    try:
        return main(arguments)
    except SystemExit as leaving:
        assert isinstance(leaving.code, int)
        return leaving.code


def test_a_file_beside_is_what_a_typing_error_meant(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = config.with_name(f"{config.stem}e.yaml")
    assert main(["train", str(wrong)]) == 2
    assert f"did you mean {config}?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["trian"], "no command 'trian'; did you mean 'train'?"),
        (["train", "absent.yaml"], "no configuration absent.yaml: there is no such file"),
        (["train", "digits_mlt_bec"], "did you mean digits_mlt_bce?"),
        (["train", "x.yaml", "seed=1", "data.root=d"], "did you mean --set seed=1 data.root=d?"),
        (["evaluate"], "give either CONFIG and --checkpoint"),
        (["evaluate", "x.yaml", "--predictions", "p.npz"], "give either CONFIG and --checkpoint"),
        (["evaluate", "--predictions", "absent.npz"], "no predictions file absent.npz"),
        (["build-split", "voc-mlt", "--output", "x.json"], "--root: say where the data"),
        (
            ["build-split", "voc-mlt", "--root", "nowhere", "--output", "x.json"],
            "If you have it elsewhere: --set data.root=FOLDER (build-split: --root FOLDER)",
        ),
        (["build-split", "pareto", "--output", "x.json"], "pareto needs --config, --coco or --csv"),
    ],
)
def test_mistakes_in_the_command(
    arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(arguments) == 2
    error = capsys.readouterr().err
    assert expected in error
    assert "Traceback" not in error


def damage(root: Path, kind: str) -> None:
    """Do to the tiny data what happens to data."""
    annotations = root / "annotations" / "instances_train.json"
    content = json.loads(annotations.read_text())
    if kind == "truncated":
        annotations.write_text(annotations.read_text()[:500])
    elif kind == "not coco":
        annotations.write_text(json.dumps({"info": {}, "captions": []}))
    elif kind == "absent image":
        (root / "train" / "0003.png").unlink()
    elif kind == "zero bytes":
        (root / "train" / "0003.png").write_bytes(b"")
    elif kind == "other classes":
        for category in content["categories"]:
            category["name"] += " robot"
        annotations.write_text(json.dumps(content))
    elif kind == "no images":
        annotations.write_text(json.dumps({**content, "images": [], "annotations": []}))
    elif kind == "no annotations file":
        annotations.unlink()


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("truncated", "is cut off"),
        ("not coco", "is not a COCO or LVIS instances file: it has no images and no annotations"),
        ("absent image", "1 of 48 training images are listed in the annotations but absent"),
        ("zero bytes", "0003.png"),
        (
            "other classes",
            "data.test: none of the classes of training is in the data: only in training: ",
        ),
        ("no images", "is empty: no image was selected"),
        ("no annotations file", "there is no annotation file"),
    ],
)
def test_damaged_data(
    kind: str,
    expected: str,
    config: Path,
    tiny_root: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    damage(tiny_root, kind)
    assert main(["train", str(config), "--set", f"data.root={tiny_root}"]) == 2
    error = capsys.readouterr().err
    assert expected in error
    assert "Traceback" not in error


def test_an_unreadable_image_can_be_skipped_and_is_counted(
    config: Path, tiny_root: Path, capsys: pytest.CaptureFixture[str], caplog: Any
) -> None:
    damage(tiny_root, "zero bytes")
    caplog.set_level("INFO")
    changes = [f"data.root={tiny_root}", "data.on_image_error=skip", "training.epochs=1"]
    assert main(["train", str(config), "--set", *changes]) == 0
    assert "1 training images could not be read and were skipped" in caplog.text


def test_a_class_without_images_is_named(
    config: Path, tiny_root: Path, caplog: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    for part in ("train", "test"):
        file = tiny_root / "annotations" / f"instances_{part}.json"
        content = json.loads(file.read_text())
        content["categories"].append({"id": 99, "name": "unicorn"})
        file.write_text(json.dumps(content))
    caplog.set_level("INFO")
    changes = [f"data.root={tiny_root}", "training.epochs=1"]
    assert main(["train", str(config), "--set", *changes]) == 0
    assert "classes without a training image: unicorn" in caplog.text
    assert "undefined and in no mean: unicorn" in capsys.readouterr().out


def test_a_checkpoint_of_other_classes_is_refused(
    config: Path, tiny_root: Path, tiny_values: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", str(config), "--set", "training.epochs=0"]) == 0
    file = tiny_root / "annotations" / "instances_test.json"
    file.write_text(file.read_text().replace("yeti", "robot"))
    checkpoint = str(Path(tiny_values["output"]) / "last.safetensors")
    arguments = ["evaluate", str(config), "--checkpoint", checkpoint]
    assert main([*arguments, "--set", f"data.root={tiny_root}"]) == 2
    error = capsys.readouterr().err
    assert "trained on other classes (4)" in error
    assert "only in the checkpoint: yeti; only in the data: robot" in error


@pytest.mark.parametrize(
    ("content", "expected"),
    [(None, "no checkpoint"), (b"junk", "not a safetensors file"), (b"", "not a safetensors file")],
)
def test_bad_checkpoints(
    config: Path, tmp_path: Path, content: bytes | None, expected: str, capsys: Any
) -> None:
    file = tmp_path / "x.safetensors"
    if content is not None:
        file.write_bytes(content)
    assert main(["evaluate", str(config), "--checkpoint", str(file)]) == 2
    assert expected in capsys.readouterr().err


def test_coco_that_is_not_there_explains_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, archive in (("coco_mlt_cb_focal", "train2017.zip"), ("voc_mlt_bce", "VOCtest_06")):
        changes = [f"data.root={tmp_path}", f"output={tmp_path / 'run'}"]
        assert main(["train", name, "--set", *changes]) == 2
        error = capsys.readouterr().err
        assert archive in error
        assert str(tmp_path) in error
        assert "mlt train digits_mlt_cb_focal" in error
        assert not (tmp_path / "run").exists()


def test_a_full_disk_is_one_message(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full, where every write finds the disk full")

    @contextmanager
    def full(path: Path) -> Iterator[Path]:
        yield Path("/dev/full")

    monkeypatch.setattr("mlt.models.checkpoint_file.atomic_write", full)
    assert main(["train", str(config), "--set", "training.epochs=1"]) == 2
    assert "no space left on the disk" in capsys.readouterr().err


def test_debug_shows_the_traceback(config: Path) -> None:
    with pytest.raises(ValueError, match="epochs"):
        main(["train", str(config), "--set", "training.epochs=x", "--debug"])


def test_a_pareto_split_of_any_data(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "split.json"
    arguments = ["build-split", "pareto", "--config", str(config), "--output", str(output)]
    picture = tmp_path / "counts.png"
    assert (
        main([*arguments, "--max", "20", "--head", "12", "--tail", "5", "--plot", str(picture)])
        == 0
    )
    printed = capsys.readouterr().out
    assert "person" in printed
    assert "####" in printed
    assert picture.stat().st_size > 1000
    content = json.loads(output.read_text())
    assert content["matches_published"] is None
    assert len(content["image_ids"]) == content["num_images"] < 48
    assert min(content["class_counts"]) >= 1
    assert main(arguments) == 2
    assert "--overwrite replaces it" in capsys.readouterr().err
    assert main(["train", str(config), "--set", f"data.split={output}", "training.epochs=1"]) == 0


def test_what_a_sampler_will_do(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain = ["show-sampler", str(config)]
    assert main(plain) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "shuffle: 48 draws an epoch from 48 images"
    assert all(line.split()[-1] == "1.00" for line in lines[2:])
    assert main([*plain, "--set", "sampler={name: class_aware}"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert float(lines[-1].split()[-1]) > float(lines[2].split()[-1])  # rare more than frequent
    rarest = lines[-1].split()[0]
    assert main([*plain, "--set", "sampler=class_aware", f"evaluation.unseen=[{rarest}]"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert next(line for line in lines if line.startswith(rarest)).split()[2] == "0"


def run_tool(repository: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own."""
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, cwd=repository, check=False
    )


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_help_is_instant(repository: Path, command: str) -> None:
    """No heavy import stands between a user and `--help`."""
    code = (
        "import sys; from mlt.cli import main\n"
        f"try: main([{command!r}, '--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'torchvision', 'timm', 'sklearn', 'scipy', 'matplotlib', 'numpy'}\n"
        "print('HEAVY', sorted(heavy & set(sys.modules)))"
    )
    result = run_tool(repository, "-c", code)
    assert "HEAVY []" in result.stdout, result.stdout + result.stderr
    assert command in result.stdout


def test_tools_are_the_commands(repository: Path) -> None:
    for tool in (repository / "tools").glob("*.py"):
        result = run_tool(repository, f"tools/{tool.name}", "--help")
        assert result.returncode == 0, result.stderr
        assert tool.stem.replace("_", "-") in COMMANDS
    assert "commands:" in run_tool(repository, "-m", "mlt", "--help").stdout


def test_predictions_that_are_no_predictions(tmp_path: Path, capsys: Any) -> None:
    np.savez(tmp_path / "x.npz", a=np.zeros(3))
    assert main(["evaluate", "--predictions", str(tmp_path / "x.npz")]) == 2
    assert "it lacks image_ids" in capsys.readouterr().err
