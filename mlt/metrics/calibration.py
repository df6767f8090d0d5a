"""From logits to probabilities that mean what they say: temperature, Platt, and Platt per label."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from mlt.activation import Activation, log_probabilities
from mlt.arrays import as_array
from mlt.errors import ConfigError, DataError
from mlt.metrics.inputs import ScoredLabels, check_scores

__all__ = ["Calibration", "fit_calibration"]

Method = Literal["none", "temperature", "platt", "platt_per_label"]


@dataclass(frozen=True)
class Calibration:
    """A straight line on the logits of each class, then a sigmoid, or one softmax.

    Slopes are positive, so that with a sigmoid the order of the images, and with it average
    precision, stays. With a softmax the slope is the same for all classes, and what stays is the
    order of the classes of an image.

    Attributes:
        class_names: C names.
        slopes: C factors of the logits.
        intercepts: C numbers added to them.
        method: How they were found.
        activation: What follows the line.
    """

    class_names: tuple[str, ...]
    slopes: tuple[float, ...]
    intercepts: tuple[float, ...]
    method: Method
    activation: Activation = "sigmoid"

    @classmethod
    def identity(
        cls, class_names: Sequence[str], activation: Activation = "sigmoid"
    ) -> Calibration:
        """The plain sigmoid, or softmax.

        Example:
            >>> Calibration.identity(["cat"]).apply([[0.0]]).tolist()
            [[0.5]]
        """
        names = tuple(class_names)
        return cls(names, (1.0,) * len(names), (0.0,) * len(names), "none", activation)

    def apply(self, logits: ArrayLike) -> NDArray[np.float64]:
        """(N, C) probabilities for (N, C) logits.

        Raises:
            DataError: If there are not C columns.
        """
        values = as_array(logits).astype(np.float64, copy=False)
        if values.ndim != 2 or values.shape[1] != len(self.slopes):
            raise DataError(f"logits must be (N, {len(self.slopes)}); got {values.shape}")
        scaled = values * self.slopes + self.intercepts
        if self.activation == "softmax":
            return np.exp(log_probabilities(scaled))
        return expit(scaled)

    def to_json(self) -> dict[str, Any]:
        """Plain values that ``json`` can write."""
        return {
            "method": self.method,
            **({} if self.activation == "sigmoid" else {"activation": self.activation}),
            "classes": [
                {"name": name, "slope": slope, "intercept": intercept}
                for name, slope, intercept in zip(
                    self.class_names, self.slopes, self.intercepts, strict=True
                )
            ],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Calibration:
        """Read what :meth:`to_json` returned.

        Raises:
            DataError: If it is not that.
        """
        try:
            classes = value["classes"]
            return cls(
                class_names=tuple(str(c["name"]) for c in classes),
                slopes=tuple(float(c["slope"]) for c in classes),
                intercepts=tuple(float(c["intercept"]) for c in classes),
                method=_method(value["method"]),
                activation=_activation(value.get("activation", "sigmoid")),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"this is not a calibration: {error!r}") from error


def fit_calibration(
    targets: ArrayLike,
    logits: ArrayLike,
    known: ArrayLike | None = None,
    *,
    class_names: Sequence[str] | None = None,
    method: Method = "platt_per_label",
    shrinkage: float = 10.0,
    activation: Activation = "sigmoid",
) -> Calibration:
    """Fit the line of each class by maximum likelihood on validation data.

    - ``"none"``: the sigmoid or softmax as it is.
    - ``"temperature"``: one slope for all classes (Guo et al., ICML 2017); what else there is to
      fit of a softmax would change which class is the most probable one.
    - ``"platt"``: one slope and one intercept for all classes (Platt, 1999), which also corrects a
      loss that makes all probabilities too high or too low.
    - ``"platt_per_label"``: both for each class. Losses with weights or margins shift each class
      differently, and only this undoes it. The line of a class with n positives is drawn towards
      that of ``"platt"``, with the weight n / (n + shrinkage) for its own. A class without
      positives, or whose own line would fall, has the common one.

    The lines are scikit-learn's ``LogisticRegression`` without penalty on Platt's smoothed targets,
    which keep the line finite where a threshold separates the classes perfectly.

    Args:
        targets: (N, C) array of 0 and 1 or booleans: validation data, not training or test data.
        logits: (N, C) logits, finite.
        known: (N, C) booleans. None: all are known.
        class_names: C names; "0", "1", ... if None.
        method: One of the four.
        shrinkage: Positives at which a class's own and the common line weigh the same.
        activation: How the logits become probabilities. A softmax needs one label per image.

    Raises:
        ConfigError: If the method is unknown or not one for a softmax, or the shrinkage negative.
        DataError: If a logit is infinite, if all known labels are alike, or if the logits order
            images no better than chance; or as for :func:`mlt.metrics.average_precision`.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> targets = rng.random((2000, 1)) < 0.3
        >>> logits = 5 * (rng.normal(size=(2000, 1)) + targets)
        >>> fit_calibration(targets, logits, method="temperature").slopes[0] < 0.3
        True
    """
    _method(method)
    if shrinkage < 0:
        raise ConfigError(f"shrinkage is a number of positives, at least 0; got {shrinkage}")
    labels = check_scores(targets, logits, known)
    c = labels.targets.shape[1]
    names = tuple(map(str, range(c))) if class_names is None else tuple(class_names)
    if len(names) != c:
        raise ConfigError(f"{len(names)} class names for {c} columns of targets")
    if not np.isfinite(labels.scores).all():
        raise DataError("logits must be finite to be calibrated")
    if method == "none":
        return Calibration.identity(names, activation)
    if activation == "softmax":
        return _softmax_temperature(labels, names, method)
    y, z = labels.flat()
    if y.all() or not y.any():
        raise DataError("calibration needs known labels of both kinds, and all are alike")
    if method == "temperature":
        slope, intercept = _temperature(y, z), 0.0
    else:
        slope, intercept = _platt(y, z)
    if slope <= 0:
        raise _no_better_than_chance()
    slopes, intercepts = np.full(c, slope), np.full(c, intercept)
    if method == "platt_per_label":
        for k in range(c):
            y, z = labels.flat(k)
            n = np.count_nonzero(y)
            if 0 < n < len(y):
                own_slope, own_intercept = _platt(y, z)
                share = n / (n + shrinkage) if own_slope > 0 else 0.0
                slopes[k] += share * (own_slope - slope)
                intercepts[k] += share * (own_intercept - intercept)
    return Calibration(names, tuple(slopes.tolist()), tuple(intercepts.tolist()), method)


def _softmax_temperature(
    labels: ScoredLabels, names: tuple[str, ...], method: Method
) -> Calibration:
    """The slope with the least log loss of the true classes."""
    if method != "temperature":
        raise ConfigError(
            f"method {method!r} is for a sigmoid per class; a softmax is calibrated by "
            "temperature, or none"
        )
    targets = labels.targets
    if labels.known is not None or not len(targets) or (targets.sum(axis=1) != 1).any():
        raise DataError("the temperature of a softmax needs exactly one known label per image")
    z = labels.scores.astype(np.float64)
    z -= z.mean(axis=1, keepdims=True)

    def loss(slope: float) -> float:
        return -float(log_probabilities(slope * z)[targets].mean())

    slope = _least(loss, float(np.abs(z).mean()))
    names_count = len(names)
    return Calibration(names, (slope,) * names_count, (0.0,) * names_count, method, "softmax")


def _temperature(y: NDArray[np.bool_], z: NDArray[np.float64]) -> float:
    """The slope with the least log loss."""
    signed = np.where(y, z, -z)

    def loss(slope: float) -> float:
        return float(np.logaddexp(0, -signed * slope).mean())

    return _least(loss, float(np.abs(z).mean()))


def _least(loss: Callable[[float], float], size: float) -> float:
    """The slope with the least loss, for logits of that mean absolute value.

    Raises:
        DataError: If none has less than the same probability for all.
    """
    from scipy.optimize import minimize_scalar  # slow to import

    if size > 0:
        scale = max(size, 1e-300)
        # From a line that is flat over all logits to one that is a step.
        bounds = (np.log(1e-4 / scale), np.log(1e4 / scale))
        found = minimize_scalar(lambda x: loss(np.exp(x)), bounds=bounds, method="bounded")
        slope = float(np.exp(found.x))
        if loss(slope) < loss(0.0):
            return slope
    raise _no_better_than_chance()


def _no_better_than_chance() -> DataError:
    return DataError('the logits order images no better than chance; only method "none" is left')


def _platt(y: NDArray[np.bool_], z: NDArray[np.float64]) -> tuple[float, float]:
    """Slope and intercept by logistic regression on smoothed targets."""
    from sklearn.linear_model import LogisticRegression  # slow to import

    positives = np.count_nonzero(y)
    negatives = len(y) - positives
    # Platt's targets: what a uniform prior makes of so many positives and negatives.
    soft = np.where(y, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    centre, scale = float(z.mean()), float(z.std())
    if scale == 0:
        share = float(soft.mean())
        return 0.0, float(np.log(share / (1 - share)))
    x = ((z - centre) / scale)[:, None]
    model = LogisticRegression(C=np.inf, max_iter=1000, tol=1e-8)
    model.fit(
        np.concatenate([x, x]),
        np.repeat([1, 0], len(y)),
        sample_weight=np.concatenate([soft, 1 - soft]),
    )
    slope = float(model.coef_[0, 0]) / scale
    return slope, float(model.intercept_[0]) - slope * centre


def _activation(name: str) -> Activation:
    for activation in get_args(Activation):
        if name == activation:
            return activation
    raise ValueError(f"unknown activation {name!r}")


def _method(name: str) -> Method:
    for method in get_args(Method):
        if name == method:
            return method
    raise ConfigError(f"method must be one of {', '.join(get_args(Method))}; got {name!r}")
