"""What a user would do instead: scikit-learn's logistic regression on frozen features.

    python benchmarks/frozen_features.py own_data_coco --set data.root=FOLDER
    python benchmarks/frozen_features.py own_data_coco --size 320 --mirror --set data.root=FOLDER

The backbone, its weights, the data and the preprocessing are those of the configuration; the
features are standardised (StandardScaler) and each class has a LogisticRegression of its own
(C = 0.01). Prints total / head / medium / tail mAP, to be held against `mlt train` with the same
configuration.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from mlt.config import Config, load_config
from mlt.data import LabelTable
from mlt.data.dataset import ImageDataset
from mlt.data.loader import build_loader
from mlt.data.run_data import load_data
from mlt.data.transforms import eval_preprocessing
from mlt.data.view_settings import expand_views
from mlt.data.view_transform import inputs_of
from mlt.metrics import Predictions, result_table, summarize
from mlt.models import build_model
from mlt.models.over_views import OverViews


def main() -> None:
    """Print the results of one configuration."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config")
    parser.add_argument("--set", dest="overrides", nargs="+", default=[], metavar="KEY=VALUE")
    parser.add_argument("--size", type=int, help="side of the input, in pixels")
    parser.add_argument(
        "--mirror", action="store_true", help="add the features of the mirror image"
    )
    parser.add_argument("--C", type=float, default=0.01, help="inverse strength of the penalty")
    arguments = parser.parse_args()
    size = [f"transforms.size={arguments.size}"] if arguments.size else []
    config = load_config(arguments.config, [*arguments.overrides, *size])
    print(result_table(summarize(logistic_regression(config, arguments.mirror, arguments.C))))


def logistic_regression(
    config: Config, mirror: bool = False, C: float = 0.01, part: str = "test"
) -> Predictions:
    """Extract features, fit one classifier per class, and predict a part of the data."""
    data = load_data(config.data)
    judged = getattr(data, part)
    model = build_model(config.model, data.train.num_classes)
    form = eval_preprocessing(config.transforms, model.mean, model.std)
    inputs = inputs_of([(form, expand_views(["whole"], mirror))])

    def features(table: LabelTable) -> np.ndarray:
        loader = build_loader(ImageDataset(table, inputs.transform), batch_size=32)
        network = OverViews([model.backbone], inputs).eval()
        with torch.inference_mode():
            return torch.cat([network(batch.images) for batch in loader]).numpy()

    scaler = StandardScaler()
    train = scaler.fit_transform(features(data.train))
    test = scaler.transform(features(judged))
    targets = data.train.targets(range(len(data.train))).astype(bool)
    logits = np.zeros((len(test), data.train.num_classes), np.float32)
    for c in np.flatnonzero(targets.any(axis=0) & ~targets.all(axis=0)):
        classifier = LogisticRegression(C=C, max_iter=1000).fit(train, targets[:, c])
        logits[:, c] = classifier.decision_function(test)
    counts = data.train.class_counts()
    return Predictions(
        image_ids=np.array(judged.image_ids.tolist()),
        logits=logits,
        targets=judged.targets(range(len(judged))).astype(bool),
        class_names=counts.names,
        class_counts=counts.counts,
        num_train_images=len(data.train),
    )


if __name__ == "__main__":
    main()
