"""`mlt effective-number`: tables, recommendation, picture, and what each mistake says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mlt.cli import main
from mlt.config.yaml_text import dump_yaml

Capture = pytest.CaptureFixture[str]


def rows_of(printed: str, name: str) -> list[list[str]]:
    """The words of the lines that begin with a name."""
    return [line.split()[1:] for line in printed.splitlines() if line.split()[:1] == [name]]


def test_tables_of_counts(capsys: Capture) -> None:
    assert main(["effective-number", "--counts", "1", "3", "--betas", "0.5"]) == 0
    printed = capsys.readouterr().out
    # E of 3 images: 1.75 at beta 1/2; 1 + 3/4 + 9/16 = 2.3125 at 3/4, which is auto.
    assert rows_of(printed, "1") == [["3", "1.75", "2.31"], ["3", "0.7273", "0.6038"]]
    assert rows_of(printed, "0") == [["1", "1.00", "1.00"], ["1", "1.2727", "1.3962"]]
    assert rows_of(printed, "max") == [["/", "min", "1.75", "2.313"]]
    assert "recommended: beta 0.75, which is `beta: auto`" in printed
    assert "next to nothing" not in printed


def test_a_beta_that_does_nothing_is_named(capsys: Capture) -> None:
    # At 0.99 E is 99.3 and 95.1, a ratio of 1.044; at 0.999 it is 394 and 259.
    assert main(["effective-number", "--counts", "500", "300"]) == 0
    assert "re-weighting does next to nothing with beta 0.9, 0.99\n" in capsys.readouterr().out


def test_many_classes_are_thinned_out_unless_asked_for(capsys: Capture) -> None:
    counts = [str(n) for n in range(1, 101)]
    assert main(["effective-number", "--counts", *counts]) == 0
    printed = capsys.readouterr().out
    assert "100 classes, of which 20 are shown" in printed
    assert len(rows_of(printed, "99")) == len(rows_of(printed, "0")) == 2  # both ends
    assert not rows_of(printed, "98")
    assert main(["effective-number", "--counts", *counts, "--classes"]) == 0
    assert len(rows_of(capsys.readouterr().out, "98")) == 2


def test_counts_of_a_configuration_and_a_picture(
    tiny_values: dict[str, Any], tmp_path: Path, capsys: Capture
) -> None:
    file, picture = tmp_path / "tiny.yaml", tmp_path / "weights.svg"
    file.write_text(dump_yaml(tiny_values))
    assert main(["effective-number", "--config", str(file), "--plot", str(picture)]) == 0
    printed = capsys.readouterr().out
    assert "yeti" in printed
    assert f"recommended: beta {47 / 48:.8g}" in printed  # 48 images, of several labels
    assert "each of the 48 samples" in printed
    assert "</svg>" in picture.read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--counts 5 x", "--counts: 'x' is not a number"),
        ("--counts 5 -3", "must be finite and not negative"),
        ("--counts 5 inf", "must be finite and not negative"),
        ("--counts 5", "at least two classes, not of 1"),
        ("--counts 0 0", "No class has an image"),
        ("--counts 5 3 --betas 0.9 1", "beta must be in [0, 1)"),
        ("--counts 5 3 --betas ten", "--betas: 'ten' is not a number"),
        ("--counts 5 3 --num-images 4", "5 positives among 4 images"),
        ("--counts 5 3 --set seed=1", "give --config, not --counts"),
        ("--config digits_mlt_bce --num-images 4", "--num-images goes with --counts"),
        ("--counts 5 3 --plot x.foo", "cannot draw x.foo"),
    ],
)
def test_mistakes(arguments: str, said: str, capsys: Capture) -> None:
    assert main(["effective-number", *arguments.split()]) == 2
    printed = capsys.readouterr()
    assert said in printed.err
    assert not printed.out


@pytest.mark.parametrize("arguments", [[], ["--counts"]])
def test_no_counts_at_all(arguments: list[str], capsys: Capture) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["effective-number", *arguments])
    assert "--counts" in capsys.readouterr().err
