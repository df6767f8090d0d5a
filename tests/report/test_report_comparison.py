"""The comparison of methods: values, correction, and marks only where the test allows."""

from __future__ import annotations

import numpy as np
import pytest
from markupsafe import escape
from sklearn.metrics import average_precision_score

from mlt.metrics import Difference, compare_seeds, holm
from mlt.report.comparison import MEANS, Contrast, compare_methods
from mlt.report.format import ABSENT
from mlt.report.methods import Method, Report, load_report
from mlt.report.page import make_page
from mlt.report.section_classes import compared_class_table
from mlt.report.section_comparison import comparison_table, difference_table
from mlt.report.section_runs import run_table

PLAIN = {"loss": {}}


@pytest.fixture
def report(make_run):
    """A weak baseline, one that is far better, one that is the same but for luck."""
    weak = [make_run(f"weak-seed{s}", seed=s, skill=0.0) for s in range(3)]
    strong = [make_run(f"strong-seed{s}", seed=s, skill=6.0, config=PLAIN) for s in range(3)]
    same = {"loss": {"focusing": {"name": "focal", "gamma": 1.0}}}
    lucky = [make_run(f"lucky-seed{s}", seed=s + 10, skill=0.0, config=same) for s in range(3)]
    return load_report([*weak, *strong, *lucky])


def test_means_and_differences_are_those_of_scikit_learn(report) -> None:
    compared = compare_methods(report)
    ap = {
        m.name: np.array(
            [
                [average_precision_score(p.targets[:, c], p.logits[:, c]) for c in range(4)]
                for p in m.predictions
            ]
        )
        for m in report.methods
    }
    table = comparison_table(compared)
    row = dict(zip([c.title for c in table.columns], table.rows[1]))
    assert row["method"] == "strong"
    assert row["runs"] == 3
    assert row["mAP"].value == pytest.approx(ap["strong"].mean(), abs=1e-12)
    assert row["mAP"].sd == pytest.approx(ap["strong"].mean(axis=1).std(ddof=1), abs=1e-12)
    assert row["head"].value == pytest.approx(ap["strong"][:, 0].mean(), abs=1e-12)
    assert row["tail"].value == pytest.approx(ap["strong"][:, 2:].mean(), abs=1e-12)
    cat = compared.class_tests[1]["1"].difference
    assert cat.value == pytest.approx((ap["strong"] - ap["weak"])[:, 1].mean(), abs=1e-12)


def test_p_values_are_corrected_for_all_tests_of_a_table(report) -> None:
    compared = compare_methods(report)
    limits = report.class_counts.limits
    plain = [
        compare_seeds(m.predictions, report.baseline.predictions, limits)[name].p_value
        for m in report.methods[1:]
        for name in MEANS
    ]
    got = [t.corrected for tests in compared.tests[1:] for t in tests.values()]
    np.testing.assert_allclose(got, holm(plain))
    assert compared.num_tests == 8
    assert compared.num_class_tests == 8
    rows = difference_table(compared).rows
    assert [row[:2] for row in rows[:2]] == [["strong", "total"], ["strong", "head"]]
    np.testing.assert_allclose([row[3] for row in rows], plain)


def test_only_certain_differences_are_marked(report) -> None:
    means = comparison_table(compare_methods(report))
    verdicts = {row[0]: row[2].verdict for row in means.rows}
    assert verdicts == {"weak (baseline)": None, "strong": "better", "lucky": None}
    turned = compare_methods(load_report(_paths(report), "strong"))
    assert turned.tests[1]["total"].verdict == "worse"
    assert comparison_table(turned).rows[0][0] == "strong (baseline)"


@pytest.mark.parametrize(
    ("value", "corrected", "verdict"),
    [(0.1, 0.049, "better"), (-0.1, 0.049, "worse"), (0.1, 0.05, None), (0.1, np.nan, None)],
)
def test_what_a_test_allows_to_say(value, corrected, verdict) -> None:
    difference = Difference(value, value - 0.1, value + 0.1, 0.001)
    assert Contrast(difference, corrected).verdict == verdict


def test_classes_without_test_images_are_undefined_in_every_table(make_run) -> None:
    truth = np.random.default_rng(0).random((32, 4)) < 0.5
    truth[:, 3] = False
    runs = [make_run("a", targets=truth), make_run("b", targets=truth, config=PLAIN)]
    compared = compare_methods(load_report(runs))
    assert compared.num_class_tests == 3
    yeti = next(row for row in compared_class_table(compared).rows if row[0] == "yeti")
    assert yeti[3] == 0
    assert all(np.isnan(cell.value) for cell in yeti[4:6])
    assert np.isnan(yeti[6:]).all()  # AUROC
    assert yeti[5].verdict is None
    assert ABSENT in compared_class_table(compared).to_text()
    for report in (load_report(runs), load_report(runs[:1])):
        assert "undefined and in no mean: yeti</p>" in make_page(report).html


def _paths(report) -> list[str]:
    return [str(run.path) for method in report.methods for run in method.runs]


def test_every_method_is_measured_on_the_groups_of_the_baseline(make_run) -> None:
    counts = {"full": [48, 40, 30, 25], "tailed": [30, 15, 9, 4]}  # head from 20, tail below 10
    full, tailed = (make_run(n, config=None, class_counts=np.array(c)) for n, c in counts.items())
    for run in (full, tailed):
        (run / "metrics.json").write_text('{"limits": {"head": 20, "tail": 10}}')
    for runs, heads in (([full, tailed], [0, 1, 2, 3]), ([tailed, full], [0])):
        report = load_report(runs)
        compared = compare_methods(report)
        ap = [method.ap[heads].mean() for method in report.methods]
        assert [m["head"].mean for m in compared.means] == pytest.approx(ap, abs=1e-12)
        assert compared.tests[1]["head"].difference.value == pytest.approx(ap[1] - ap[0], abs=1e-12)
        groups = {row[0]: row[1] for row in compared_class_table(compared).rows}
        assert [groups[report.class_counts.names[c]] for c in heads] == ["head"] * len(heads)


def test_other_training_counts_are_said_in_the_report_and_the_terminal(make_run) -> None:
    full = make_run("<full>", class_counts=np.array([48, 40, 30, 25]))
    tailed, same = make_run("tailed", config=PLAIN), make_run("same", seed=1, config=PLAIN)
    page = make_page(load_report([full, tailed]), thumbnails=False)
    note = (
        "Head, medium and tail are those of <full>'s training split (4 head, 0 medium, 0 tail "
        "classes). Trained on other counts: tailed (by its own: 1 head, 1 medium, 2 tail)."
    )
    assert " ".join(page.tables[0].to_text().split()).endswith(note)
    assert str(escape(note)) in page.html
    for table in page.tables[:3]:
        assert table.note == note
        assert table.to_latex().endswith(f"% {note}")
        assert "Trained on other counts" in table.to_markdown()
        assert "Trained on other counts" not in table.to_csv()
    for runs in ([tailed, same], [tailed, make_run("focal")]):
        assert "other counts" not in make_page(load_report(runs), thumbnails=False).html


def test_seeds_with_other_splits_have_the_groups_of_the_first(make_run) -> None:
    first = make_run("bce-seed0")
    other = make_run("bce-seed1", seed=1, class_counts=np.array([30, 25, 9, 4]))
    report = load_report([first, other])
    assert f"Trained on other counts: {other} (by its own: 2 head, 0" in report.groups_note
    # Put together by hand, the runs are told apart.
    together = Report((Method("bce", tuple(m.first for m in report.methods)),))
    assert together.groups_note.startswith("Head, medium and tail are those of bce-seed0's")
    assert "counts: bce-seed1 (by its own" in together.groups_note
    many = [make_run(f"m{i}", config=None, class_counts=np.array([9, 9, i, 4])) for i in range(9)]
    assert load_report(many).groups_note.endswith("; and 2 more.")


def test_seen_and_unseen_classes_are_compared_apart(make_run) -> None:
    counts = {"class_counts": np.array([30, 0, 9, 0])}
    runs = [
        make_run("weak", skill=0.0, **counts),
        make_run("strong", skill=6.0, config=PLAIN, **counts),
    ]
    report = load_report(runs)
    compared = compare_methods(report)
    p = report.methods[1].predictions[0]
    ap = [average_precision_score(p.targets[:, c], p.logits[:, c]) for c in range(4)]
    for table in (comparison_table(compared), run_table(report)):
        row = dict(zip([c.title for c in table.columns], table.rows[1]))
        unseen = row["unseen"] if table.name == "runs" else row["unseen"].value
        assert unseen == pytest.approx((ap[1] + ap[3]) / 2, abs=1e-12)
    said = [row[1] for row in difference_table(compared).rows]
    assert said == ["total", "head", "medium", "tail", "seen", "unseen"]
    assert ">unseen<" in make_page(report).html
