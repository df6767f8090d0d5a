"""Draw the losses and their slopes against the logit: docs/loss_curves.svg.

python docs/loss_curves.py [--output docs/loss_curves.svg]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib
import torch

matplotlib.use("svg")
import matplotlib.pyplot as plt

from mlt.losses import create_loss

# One rare class, 20 positives among 2,000 images.
LOSSES = {
    "bce": {},
    "focal": {"gamma": 2},
    "poly": {"epsilon": 2},
    "asl": {"gamma_pos": 0},
    "ral": {},
    "hill": {},
    "logit_adjusted": {},
    "db_focal": {},
}


def main() -> None:
    """Draw four panels: value and slope, of a positive and of a negative."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".svg"))
    args = parser.parse_args()
    plt.rcParams |= {"svg.hashsalt": "mlt", "svg.fonttype": "none", "font.size": 9}
    figure, axes = plt.subplots(2, 2, figsize=(9, 6), sharex=True, layout="constrained")
    for name, options in LOSSES.items():
        loss = create_loss(name, [20], 2_000, reduction="none", **options)
        for column, target in enumerate((1, 0)):
            logits = torch.linspace(-6, 6, 61)[:, None].requires_grad_()
            value = loss(logits, torch.full(logits.shape, target))
            value.sum().backward()
            x = logits.detach()[:, 0]
            axes[0, column].plot(x, value.detach()[:, 0], label=name, linewidth=1.3)
            axes[1, column].plot(x, logits.grad[:, 0], linewidth=1.3)
    for column, kind in enumerate(("positive", "negative")):
        axes[0, column].set_title(f"{kind} label")
        axes[0, column].set_ylim(-0.2, 6)
        axes[1, column].set_xlabel("logit")
    axes[0, 0].set_ylabel("loss")
    axes[1, 0].set_ylabel("slope")
    axes[0, 1].legend(loc="upper left", frameon=False)
    for axis in axes.flat:
        axis.grid(alpha=0.3)
    figure.savefig(args.output, metadata={"Date": None})


if __name__ == "__main__":
    main()
