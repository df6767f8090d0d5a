"""The loss section of the YAML, its presets, and building from it."""

from __future__ import annotations

import pytest
import torch
import yaml
from pydantic import TypeAdapter, ValidationError

from mlt.class_counts import ClassCounts
from mlt.errors import ConfigError
from mlt.losses import ClassBalancedFocalLoss, build_loss, create_loss, list_losses
from mlt.losses.loss_config import LossConfig, loss_options, resolve_preset
from mlt.losses.settings import Composition

ADAPTER = TypeAdapter(LossConfig)
COUNTS = ClassCounts.from_counts([90, 30, 4], 100, names=("a", "b", "c"))


def read(text: str):
    return ADAPTER.validate_python(yaml.safe_load(text))


def test_a_preset_is_its_composition_written_out() -> None:
    preset = read("{preset: db_focal, options: {map_gamma: 0.3, neg_scale: 5}}")
    written_out = read("""
        adjustment: {name: negative_tolerant, neg_scale: 5, init_bias: 0.05}
        focusing: {name: focal, gamma: 2}
        weighting: {name: rebalance, alpha: .1, beta: 10, mu: .3}
        scale: 2
        reduction: mean
    """)
    assert preset == written_out
    assert isinstance(preset, Composition)


@pytest.mark.parametrize("name", list_losses("sigmoid"))
def test_every_preset_survives_the_yaml(name: str) -> None:
    part = read(f"{{preset: {name}}}")
    again = ADAPTER.validate_python(yaml.safe_load(yaml.safe_dump(part.model_dump())))
    assert again == part
    loss = build_loss(part, COUNTS)
    value = loss(torch.zeros(2, 3), torch.tensor([[1, 0, 0], [0, 1, 1]]))
    assert value.isfinite()


def test_defaults_are_cross_entropy() -> None:
    assert read("{}") == read("{preset: bce}")


def test_label_smoothing_is_a_key_of_the_loss_and_an_option_of_a_preset() -> None:
    written_out = read("{focusing: {name: focal}, label_smoothing: 0.1}")
    assert written_out == read("{preset: focal, options: {label_smoothing: 0.1}}")
    assert build_loss(written_out, COUNTS).label_smoothing == 0.1
    assert read("{name: splc, label_smoothing: 0.1}").label_smoothing == 0.1


@pytest.mark.parametrize("name", ["cb_bce", "cb_focal"])
def test_class_balanced_presets_balance_by_default(name: str) -> None:
    weighting = read(f"{{preset: {name}}}").weighting
    assert (weighting.beta, weighting.scheme, weighting.normalise) == ("auto", "column", True)


def test_floats_that_yaml_reads_as_strings() -> None:
    assert read("{preset: eql, options: {threshold: 1e-3}}").weighting.threshold == 1e-3


@pytest.mark.parametrize(
    ("scheme", "normalise"),
    [("column", True), ("positive", True), ("instance", True), ("average_w", False)],
)
def test_reference_schemes_are_not_scaled(scheme: str, normalise: bool) -> None:
    part = read(f"weighting: {{name: effective_number, scheme: {scheme}}}")
    assert part.weighting.normalise is normalise


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{preset: fcal}", "There is no loss 'fcal'. Did you mean 'focal'?"),
        ("{preset: focal, options: {gama: 2}}", "no option 'gama'. Did you mean 'gamma'?"),
        ("{preset: focal, options: {gamma: -1}}", "gamma: Input should be greater than"),
        ("{preset: focal, options: {scale: 2, balance_param: 2}}", "given 'scale' twice"),
        ("{preset: focal, gamma: 2}", "Extra inputs are not permitted"),
        ("{name: focal}", "does not match any of the expected tags"),
        ("{focusing: {name: focal, gama: 2}}", "focusing.focal.gama"),
        ("{weighting: {name: inverse, scheme: average_n}}", "Input should be 'column'"),
        ("{weighting: {name: effective_number, beta: 1}}", "less than 1"),
        ("{label_smoothing: 1}", "less than 1"),
        ("{weighting: {name: pos_weight, max_weight: 0}}", "greater than 0"),
        ("{preset: cb_softmax, options: {tau: 1}}", "'cb_softmax' has no option 'tau'"),
        ("{name: ldam_softmax, drw_epoch: -1}", "greater than or equal to 0"),
        ("{reduction: average}", "'none', 'mean', 'sum' or 'batchmean'"),
    ],
)
def test_mistakes_are_explained(text: str, message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        read(text)
    assert message in str(caught.value)


def test_the_schema_knows_presets_and_parts() -> None:
    schema = str(ADAPTER.json_schema())
    for word in ("PresetLoss", "NegativeTolerant", "EffectiveNumber", "Zlpr"):
        assert word in schema


def test_create_loss_explains_itself() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'db_focal'"):
        create_loss("dbfocal")
    with pytest.raises(
        ConfigError, match="It takes: gamma, alpha, soft_targets, scale, label_smoothing, reduction"
    ):
        create_loss("focal", beta=0.9)
    with pytest.raises(ConfigError, match="reduction must be one of"):
        create_loss("focal", reduction="average")
    with pytest.raises(ConfigError, match="no loss by element"):
        create_loss("two_way", reduction="none")


def test_options_of_every_preset() -> None:
    for name in list_losses():
        options = loss_options(name)
        assert options["reduction"] == ("batchmean" if name.endswith("_single") else "mean")
        assert resolve_preset(name, options) == resolve_preset(name)


def test_named_classes_are_the_presets() -> None:
    by_class = ClassBalancedFocalLoss.from_counts(COUNTS.counts, beta=0.99, scheme="instance")
    by_name = create_loss("cb_focal", COUNTS.counts, beta=0.99, scheme="instance")
    logits, targets = torch.randn(5, 3), torch.ones(5, 3)
    torch.testing.assert_close(by_class(logits, targets), by_name(logits, targets))


def test_partly_known_labels_shift_the_prior() -> None:
    partly = ClassCounts.from_counts(COUNTS, known=[100, 60, 8])
    shift = build_loss(resolve_preset("logit_adjusted"), partly).adjustment.shift
    torch.testing.assert_close(shift, torch.logit(torch.tensor([0.9, 0.5, 0.5]).double()))
