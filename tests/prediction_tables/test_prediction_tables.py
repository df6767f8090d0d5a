"""Scores of other tools beside the truth: aligned by name, or refused with what is missing."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet
from scipy.special import expit

from mlt.data import LabelTable
from mlt.errors import ConfigError, DataError, MissingFileError
from mlt.prediction_tables import Truth, TruthTable, join, read_predictions, read_scores
from mlt.predictions import Predictions

SCORES = "image,yeti,cat,dog\nb.jpg,0.1,0.9,0.2\nc.jpg,0,1,0.5\na.jpg,0.7,0.3,0.4\n"
TRUTH = "name,cat,dog,yeti\na.jpg,0,1,0\nb.jpg,1,,-1\nc.jpg,1,0,1\n"
NAMES = "name,labels\na.jpg,dog\nb.jpg,cat\nc.jpg,yeti|cat\n"


@pytest.fixture
def write(tmp_path: Path):
    def to(name: str, text: str) -> Path:
        file = tmp_path / name
        file.write_text(text)
        return file

    return to


def test_images_and_classes_are_aligned_by_name(write) -> None:
    found = read_predictions(write("s.csv", SCORES), write("t.csv", TRUTH), kind="probabilities")
    assert found.image_ids.tolist() == ["a.jpg", "b.jpg", "c.jpg"]
    assert found.class_names == ("cat", "dog", "yeti")
    expected = [[0.3, 0.4, 0.7], [0.9, 0.2, 0.1], [1, 0.5, 0]]
    np.testing.assert_allclose(expit(found.logits.astype(float)), expected, atol=1e-7)
    assert found.targets.tolist() == [[0, 1, 0], [1, 0, 0], [1, 0, 1]]
    assert found.known.tolist() == [[1, 1, 1], [1, 1, 0], [1, 1, 1]]  # -1 is not known
    assert found.class_counts is None


def test_a_table_that_lists_names(write) -> None:
    found = read_predictions(write("s.csv", SCORES), write("t.csv", NAMES), kind="probabilities")
    assert found.class_names == ("cat", "dog", "yeti")
    assert found.targets.tolist() == [[0, 1, 0], [1, 0, 0], [1, 0, 1]]
    other = NAMES.replace("labels", "tags").replace("|", ";")
    form = {"labels_column": "tags", "separator": ";", "negatives": ["none"]}
    table = TruthTable(write("u.csv", other + "d.jpg,none\n"), form=form)
    again = read_predictions(write("s.csv", SCORES), table, kind="probabilities", subset=True)
    assert again.targets.tolist() == found.targets.tolist()


def test_a_class_that_no_listed_image_has_is_said_and_undefined(
    write, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="mlt")
    truth = write("t.csv", "name,labels\na.jpg,dog\nb.jpg,cat\nc.jpg,cat\n")
    found = read_predictions(write("s.csv", SCORES), truth, kind="probabilities")
    assert found.targets.sum(axis=0).tolist() == [2, 1, 0]
    assert "no image has 1 class ('yeti')" in caplog.text


def test_parquet_holds_the_same(write, tmp_path: Path) -> None:
    columns = {"image": ["b.jpg", "c.jpg", "a.jpg"], "yeti": [0.1, 0.0, 0.7],
               "cat": [0.9, 1.0, 0.3], "dog": [0.2, 0.5, 0.4]}  # fmt: skip
    parquet.write_table(pa.table(columns), tmp_path / "s.parquet")
    truth = {"name": ["a.jpg", "b.jpg", "c.jpg"], "labels": ["dog", "cat", "yeti|cat"]}
    parquet.write_table(pa.table(truth), tmp_path / "t.parquet")
    found = read_predictions(tmp_path / "s.parquet", tmp_path / "t.parquet", kind="probabilities")
    same = read_predictions(write("s.csv", SCORES), write("t.csv", NAMES), kind="probabilities")
    np.testing.assert_array_equal(found.logits, same.logits)
    np.testing.assert_array_equal(found.targets, same.targets)


def test_probabilities_of_0_and_1_are_below_and_above_all_others(write) -> None:
    text = "id,a\n0,0\n1,5e-324\n2,1e-40\n3,0.5\n4,0.9999999999999999\n5,1\n"
    logits = read_scores(write("s.csv", text), "probabilities").logits[:, 0]
    assert (np.diff(logits) > 0).all()
    assert np.isfinite(logits).all()
    assert logits[3] == 0
    assert expit(logits[[0, 5]].astype(float)).tolist() == [pytest.approx(0, abs=1e-300), 1.0]


def test_logits_stay_as_they_are(write) -> None:
    scores = read_scores(write("s.csv", "id,a,b\nx,-1.25,inf\n"), "logits")
    assert scores.logits.tolist() == [[-1.25, np.inf]]
    assert scores.logits.dtype == np.float32


def test_logits_that_look_like_probabilities_are_suspected(
    write, caplog: pytest.LogCaptureFixture
) -> None:
    read_predictions(write("s.csv", SCORES), write("t.csv", TRUTH), kind="logits")
    assert "all logits are between 0 and 1; are they probabilities?" in caplog.text


def test_the_training_table_makes_the_groups(write) -> None:
    train = write("r.csv", "name,cat,dog,yeti,age\n" + "".join(
        f"t{i},{int(i < 120)},{int(i % 4 == 0)},{int(i < 3)},{i}\n" for i in range(200)
    ))  # fmt: skip
    table = TruthTable(write("t.csv", TRUTH), train=train)
    found = read_predictions(write("s.csv", SCORES), table, kind="probabilities")
    assert found.class_counts.tolist() == [120, 50, 3]
    assert found.num_train_images == 200
    groups = found.training_counts().groups
    assert {name: members.tolist() for name, members in groups.items()} == {
        "head": [0], "medium": [1], "tail": [2],
    }  # fmt: skip
    names = TruthTable(write("t2.csv", NAMES), train=write("r2.csv", "name,labels\nq,cat\nr,\n"))
    found = read_predictions(write("s.csv", SCORES), names, kind="probabilities")
    assert found.class_counts.tolist() == [1, 0, 0]


def test_columns_of_the_truth_that_are_no_classes_are_left_out(write) -> None:
    truth = TRUTH.replace("name,", "name,age,view,").replace(".jpg,", ".jpg,71,PA,")
    found = read_predictions(write("s.csv", SCORES), write("t.csv", truth), kind="probabilities")
    assert found.class_names == ("cat", "dog", "yeti")


def test_the_truth_may_be_other_predictions_with_integer_ids(write, tmp_path: Path) -> None:
    other = Predictions.from_arrays(
        [[0.5, 1.0], [0.1, -1.0]], [[1, 0], [0, 1]], image_ids=[7, 9],
        class_names=["cat", "dog"], class_counts=[150, 9], num_train_images=200,
    )  # fmt: skip
    other.save(tmp_path / "predictions.npz")
    scores = write("s.csv", "id,dog,cat\n9,0.1,0.2\n7,0.3,0.4\n")
    found = read_predictions(scores, tmp_path / "predictions.npz", kind="logits")
    assert found.image_ids.tolist() == [7, 9]
    assert found.logits.tolist() == [[pytest.approx(0.4), pytest.approx(0.3)],
                                     [pytest.approx(0.2), pytest.approx(0.1)]]  # fmt: skip
    assert found.class_counts.tolist() == [150, 9]
    assert found.num_train_images == 200


def test_some_classes_can_be_chosen_and_ordered(write) -> None:
    for truth in (TRUTH, NAMES):
        found = read_predictions(
            write("s.csv", SCORES),
            write("t.csv", truth),
            kind="probabilities",
            class_names=["yeti", "dog"],
        )
        assert found.class_names == ("yeti", "dog")
        assert found.targets.tolist() == [[0, 1], [0, 0], [1, 0]]


@pytest.mark.parametrize(
    ("scores", "truth", "message"),
    [
        (SCORES.replace("c.jpg", "d.jpg"), TRUTH, r"1 of 3 images \('d.jpg'\) of .* not in"),
        (SCORES.replace("c.jpg,0,1,0.5\n", ""), TRUTH, r"1 of 3 images \('c.jpg'\) of .* no row"),
        (SCORES.replace("cat", "Cat"), TRUTH, r"no column for 1 of 3 classes \('Cat'\)"),
        (SCORES.replace("cat", "Cat"), TRUTH, r"did you mean 'cat' for 'Cat'\?"),
        (SCORES.replace("cat", "CAT"), NAMES, r"did you mean 'CAT' for 'cat'\?"),
        (SCORES.replace("0.9", "97"), TRUTH, r"Are they percent\? Divide them by 100"),
        (SCORES.replace("0.9", "1.2"), TRUTH, r"0 and 1\). Give --logits if these are logits"),
        (SCORES.replace("0.9", "-3"), TRUTH, r"0 and 1\). Give --logits if these are logits"),
        (SCORES.replace("cat", "Cat"), NAMES, r"no column for 1 of 3 classes \('cat'\) of"),
        (SCORES, TRUTH.replace("dog", "Dog"), r"no column for 1 of 3 classes \('dog'\)"),
        (SCORES, "name,cat,dog,yeti,emu\na.jpg,0,1,0,1\nb.jpg,0,0,0,0\nc.jpg,0,1,0,1\n",
         r"no column for 1 of 4 classes \('emu'\)"),
        (SCORES + "a.jpg,0,0,0\n", TRUTH, r"line 5: image 'a.jpg' is there twice, first in .*4"),
        (SCORES.replace("0.9", "1.2"), TRUTH, r"line 2, column 'cat': 1.2 is not a probability"),
        (SCORES.replace("0.9", "-3"), TRUTH, r"\(1 scores are not between 0 and 1\)"),
        (SCORES.replace("0.9", "high"), TRUTH, r"line 2, column 'cat': 'high' is not a score"),
        (SCORES.replace("0.9", ""), TRUTH, r"line 2, column 'cat': '' is not a score"),
        (SCORES.replace("0.9", "nan"), TRUTH, r"column 'cat': 'nan' is not a score"),
        (SCORES.replace("a.jpg", ""), TRUTH, r"line 4: the image id is empty"),
        ("image\na.jpg\n", TRUTH, r"no column of scores beside the ids in 'image'"),
        ("image,cat\n", TRUTH, r"no row below its header"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(write, scores: str, truth: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_predictions(write("s.csv", scores), write("t.csv", truth), kind="probabilities")


def test_a_score_beyond_float32_is_named_by_its_line(write) -> None:
    scores = write("s.csv", SCORES.replace("0.9", "-1e39"))
    with pytest.raises(DataError, match=r"line 2, column 'cat': -1e\+39 is not a logit"):
        read_scores(scores, "logits")


def test_a_class_is_named_once(write) -> None:
    files = write("s.csv", SCORES), write("t.csv", TRUTH)
    with pytest.raises(DataError, match="'cat' is there twice"):
        read_predictions(*files, kind="probabilities", class_names=["cat", "cat", "dog"])


def test_a_subset_is_evaluated_where_it_is_asked_for(
    write, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="mlt")
    scores = write("s.csv", SCORES.replace("c.jpg,0,1,0.5\n", ""))
    truth = write("t.csv", TRUTH)
    found = read_predictions(scores, truth, kind="probabilities", subset=True)
    assert found.image_ids.tolist() == ["a.jpg", "b.jpg"]
    assert found.known.shape == (2, 3)
    assert "2 of the 3 images" in caplog.text


def test_the_truth_of_a_data_set_with_known_labels() -> None:
    table = LabelTable.from_lists(
        [3, 4], ["3.jpg", "4.jpg"], ["cat", "dog"], [[0], []], known_indices=[[0], [0, 1]]
    )
    truth = Truth.of_table(table, "the test images", training=table)
    assert truth.targets.tolist() == [[True, False], [False, False]]
    assert truth.known.tolist() == [[True, False], [True, True]]
    assert truth.class_counts.counts.tolist() == [1, 0]


def test_a_data_set_has_all_its_classes(write) -> None:
    table = LabelTable.from_lists([3], ["3.jpg"], ["cat", "dog"], [[0]])
    truth = Truth.of_table(table, "the test images")
    with pytest.raises(DataError, match=r"the test images lacks 1 class \('emu'\)"):
        join(read_scores(write("s.csv", "id,cat,dog,emu\n3,1,2,3\n"), "logits"), truth)
    with pytest.raises(DataError, match=r"no column for 1 of 2 classes \('dog'\)"):
        join(read_scores(write("t.csv", "id,cat\n3,1\n"), "logits"), truth)


def test_the_columns_and_the_kind_must_be_there(write) -> None:
    with pytest.raises(DataError, match="no column 'key'"):
        read_scores(write("s.csv", SCORES), "logits", id_column="key")
    with pytest.raises(ConfigError, match="'logits' or 'probabilities', not 'scores'"):
        read_scores(write("s.csv", SCORES), "scores")  # type: ignore[arg-type]
    with pytest.raises(MissingFileError, match="no CSV file"):
        read_scores("nowhere.csv", "logits")


def test_the_ids_may_stand_in_another_column(write) -> None:
    text = ",cat,key\n0,0.5,b\n1,0.25,a\n"
    found = read_scores(write("s.csv", text), "logits", id_column="key")
    assert found.image_ids == ("b", "a")
    assert found.class_names == ("cat",)


def test_an_index_that_pandas_wrote_is_no_id_unless_it_has_the_ids(write) -> None:
    rows = read_scores(write("s.csv", ",key,cat\n0,b,0.5\n1,a,0.25\n"), "logits")
    assert (rows.image_ids, rows.class_names) == (("b", "a"), ("cat",))
    ids = read_scores(write("t.csv", ",cat\nb,0.5\na,0.25\n"), "logits")
    assert (ids.image_ids, ids.class_names) == (("b", "a"), ("cat",))


def test_the_truth_may_be_in_any_layout_of_tables(write) -> None:
    long = "ImageID,LabelName,Confidence\na,cat,1\na,dog,0\nb,dog,1\n"
    form = {"layout": "long", "labels_column": "LabelName", "value_column": "Confidence"}
    table = TruthTable(write("t.csv", long), form=form)
    scores = write("s.csv", "id,cat,dog\na,1.5,-2\nb,-3,4\n")
    found = read_predictions(scores, table, kind="logits")
    assert found.targets.tolist() == [[True, False], [False, True]]
    assert found.known.tolist() == [[True, True], [False, True]]
    with pytest.raises(ConfigError, match=r"no key 'labels_colum'.*did you mean .*labels_column"):
        read_predictions(scores, TruthTable(table.file, form={"labels_colum": "x"}), kind="logits")


def test_the_patients_of_the_truth_are_kept(write, tmp_path: Path) -> None:
    """From a table, and from predictions, whatever the order of the scores."""
    patients = "name,patient,cat,dog,yeti\na.jpg,anna,0,1,0\nb.jpg,bert,1,,-1\nc.jpg,,1,0,1\n"
    table = TruthTable(write("t.csv", patients), form={"group": "patient"})
    found = read_predictions(write("s.csv", SCORES), table, kind="probabilities")
    assert found.groups is not None
    assert dict(zip(found.image_ids.tolist(), found.groups.tolist(), strict=True)) == {
        "a.jpg": "anna", "b.jpg": "bert", "c.jpg": ""
    }  # fmt: skip
    found.save(tmp_path / "other.npz")
    again = read_predictions(write("s.csv", SCORES), tmp_path / "other.npz", kind="probabilities")
    assert again.groups is not None
    assert again.groups.tolist() == found.groups.tolist()
    plain = read_predictions(write("s.csv", SCORES), write("t.csv", TRUTH), kind="probabilities")
    assert plain.groups is None


def test_the_patients_may_be_a_pattern_in_a_column(write) -> None:
    patients = "name,study,cat,dog,yeti\na.jpg,p1/s1,0,1,0\nb.jpg,p1/s2,1,,-1\nc.jpg,p2/s1,1,0,1\n"
    form = {"group": {"column": "study", "pattern": "p[0-9]+"}}
    table = TruthTable(write("t.csv", patients), form=form)
    found = read_predictions(write("s.csv", SCORES), table, kind="probabilities")
    assert found.groups is not None and sorted(found.groups.tolist()) == ["p1", "p1", "p2"]
