"""Configuration of the optimizer, the schedule, the loop and the evaluation."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field, model_validator

from mlt.data.samplers.settings import SamplerConfig
from mlt.data.view_settings import Average, ViewConfig, ViewName, expand_views
from mlt.losses.loss_config import LossConfig
from mlt.settings import Settings, UserPath

__all__ = [
    "EarlyStoppingConfig",
    "EvaluateEvery",
    "EvaluationConfig",
    "FeaturesConfig",
    "OptimizerConfig",
    "ScheduleConfig",
    "Stage",
    "TauNormalised",
    "TrainingConfig",
]


class OptimizerConfig(Settings):
    """Any optimizer of timm, with rates that may differ between backbone and head."""

    name: str = "adamw"
    """Name of a timm optimizer, for example sgd, adamw, lamb."""
    lr: float = Field(1e-3, gt=0)
    """Learning rate of the head."""
    weight_decay: float = Field(0.0, ge=0)
    """Weight decay, in the form of the optimizer: decoupled for adamw, an L2 penalty for sgd."""
    momentum: float = Field(0.9, ge=0, lt=1)
    """Momentum, for the optimizers that have one."""
    nesterov: bool = False
    """Nesterov's form of momentum, for sgd."""
    fused: Literal["auto"] | bool = "auto"
    """One kernel for all of an update, for sgd, adam, adamw and adagrad: `auto` where the optimizer
    has it, on a CPU or CUDA; true: or refuse; false: parameter by parameter, or in torch's groups
    of them (foreach)."""
    decay_norm_and_bias: bool = False
    """Whether weight decay also acts on biases and normalisation layers."""
    backbone_lr_scale: float = Field(1.0, gt=0)
    """The backbone's rate as a multiple of `lr`; to train the head alone, see `model.freeze`."""
    layer_decay: float | None = Field(None, gt=0, le=1)
    """Factor by which the rate falls from each group of layers to the one below; null: none."""
    decay_to_start: float = Field(0.0, ge=0)
    """After each update the backbone's weights move this times their rate towards the values that
    the run began with (L2-SP: Li et al., ICML 2018), whatever the optimizer; 0: not."""


class ScheduleConfig(Settings):
    """How the learning rate goes; the warm-up before it is linear."""

    name: Literal["cosine", "linear", "multistep", "constant"] = "cosine"
    """After the warm-up: fall to `min_lr` as half a cosine or in a straight line, in steps at
    `milestones`, or not. `linear` with a long warm-up is a one-cycle (triangular) schedule."""
    cycles: int = Field(1, ge=1, le=1000)
    """Cosines one after the other, each starting anew at its full rate (warm restarts,
    1608.03983); the last one ends with the training."""
    cycle_mul: float = Field(1.0, ge=1)
    """Length of each cosine as a multiple of the one before."""
    cycle_decay: float = Field(1.0, gt=0, le=1)
    """Rate at which each cosine starts, as a multiple of the one before."""
    milestones: tuple[float, ...] = ()
    """Epochs after which the rate is multiplied by `decay_rate` (multistep only)."""
    decay_rate: float = Field(0.1, gt=0)
    """What the rate is multiplied by at each milestone."""
    min_lr: float = Field(0.0, ge=0)
    """Rate at the end of the cosine or line."""
    warmup_updates: int = Field(0, ge=0)
    """Optimizer updates over which the rate rises at first; 0: none."""
    warmup_epochs: float = Field(0.0, ge=0)
    """The same in epochs, in place of `warmup_updates`."""
    warmup_from: float = Field(0.0, ge=0, le=1)
    """Rate at the first update as a fraction of `lr`."""

    @model_validator(mode="after")
    def _check(self) -> ScheduleConfig:
        if self.name == "multistep" and not self.milestones:
            raise ValueError("multistep needs milestones, for example [5, 7]")
        if self.name != "multistep" and self.milestones:
            raise ValueError(f"milestones belong to multistep, not to {self.name}")
        if self.cycles > 1 and self.name != "cosine":
            raise ValueError(f"cycles belong to cosine, not to {self.name}")
        if (self.cycles - 1) * math.log10(self.cycle_mul) > 6:
            raise ValueError(
                f"the last of {self.cycles} cosines would be more than a million times as long as "
                "the first; lower cycles or cycle_mul"
            )
        if self.cycles == 1 and (self.cycle_mul, self.cycle_decay) != (1, 1):
            raise ValueError("cycle_mul and cycle_decay need cycles of 2 or more")
        if list(self.milestones) != sorted(set(self.milestones)):
            raise ValueError("milestones must increase")
        if self.warmup_updates and self.warmup_epochs:
            raise ValueError("give either warmup_updates or warmup_epochs")
        return self

    def warmup(self, updates_per_epoch: int) -> int:
        """Optimizer updates over which the rate rises at first."""
        return self.warmup_updates or round(self.warmup_epochs * updates_per_epoch)


class SaveEvery(Settings):
    """How often training saves the state that it can be resumed from."""

    updates: int | None = Field(None, ge=1)
    """Save after every so many updates."""
    minutes: float | None = Field(None, gt=0)
    """Save after the first update when so many minutes have passed."""

    @model_validator(mode="after")
    def _check(self) -> SaveEvery:
        if (self.updates is None) == (self.minutes is None):
            raise ValueError("give either updates or minutes")
        return self


class FeaturesConfig(Settings):
    """The views of a training image whose features are kept; each draw takes one of them."""

    clean: bool = True
    """The image as it is evaluated, without augmentation."""
    mirror: bool = True
    """The mirror image of that, unless `transforms.flip` is 0."""
    crops: int = Field(3, ge=0, le=1000)
    """Draws of the training transforms, with all their randomness."""
    cache_size: float = Field(20.0, gt=0)
    """GB that the features in the cache folder may take; the files used longest ago are dropped."""

    @model_validator(mode="after")
    def _check(self) -> FeaturesConfig:
        if not self.clean and self.crops == 0:
            raise ValueError("without clean and crops there may be nothing to train on")
        return self


class EarlyStoppingConfig(Settings):
    """When training ends before its last epoch; judged on the validation images."""

    metric: Literal[
        "mAP.total", "mAP.head", "mAP.medium", "mAP.tail", "AUROC.total", "top1.total", "loss"
    ] = "mAP.total"
    """What has to improve: a mean over classes, top-1 accuracy (of images with exactly one label
    each), or the loss of the validation images."""
    patience: int = Field(5, ge=1)
    """Evaluations without an improvement after which training ends."""
    min_delta: float = Field(0.0, ge=0)
    """An improvement is more than this, in the unit of the metric (mAP is in [0, 1])."""


class CompileConfig(Settings):
    """How torch compiles model and loss."""

    mode: Literal["default", "max-autotune-no-cudagraphs"] = "default"
    """`max-autotune-no-cudagraphs` chooses among kernels by timing them: it takes longer, and a run
    that is resumed may choose others, which round differently."""


class TauNormalised(Settings):
    """The weights of the last layer brought nearer to one norm for all classes."""

    tau: Annotated[float, Field(ge=0)] | Literal["auto"]
    """0 changes nothing, 1 makes the norms the same; `auto` takes the multiple of 0.1 with the best
    label ranking average precision on the validation images."""


class Stage(Settings):
    """A part of the training with settings of its own; what it does not name is the run's.

    With any of `freeze`, `head`, `optimizer` and `schedule` a stage begins anew: with an optimizer
    and a schedule of its own. Otherwise those of the stage before go on.
    """

    epochs: int = Field(ge=0)
    """Passes over the sampler; 0 with `head: {tau: ...}`, which needs none."""
    freeze: tuple[str, ...] | Literal["all"] | None = None
    """Parts of the backbone that stay as they are in this stage, as in `model.freeze`; with `all`
    the head learns, on cached features."""
    head: Literal["reinit", "lws"] | TauNormalised | None = None
    """`reinit`: begin with a fresh head, as classifier re-training (cRT) does. `lws`: learn only a
    factor per class and the biases, of a linear head on a frozen backbone. A section with `tau`:
    normalise the weights of the last layer, without training."""
    optimizer: OptimizerConfig | None = None
    """Keys that differ from `optimizer`."""
    schedule: ScheduleConfig | None = None
    """Keys that differ from `schedule`, or with a `name` another schedule; it is as long as the
    stage."""
    loss: LossConfig | None = None
    """Another loss: after other stages, deferred re-weighting (DRW)."""
    sampler: SamplerConfig | None = None
    """Another sampler: after other stages, deferred re-sampling (DRS)."""
    features: Literal["cache", "none"] | FeaturesConfig | None = None
    """As `training.features`, where all of the backbone is frozen in this stage."""

    @model_validator(mode="after")
    def _check(self) -> Stage:
        if (self.epochs == 0) != isinstance(self.head, TauNormalised):
            raise ValueError(
                "a stage without epochs is head: {tau: ...}, and that has none"
                if self.epochs
                else "a stage needs epochs of 1 or more, but for head: {tau: ...}"
            )
        if self.head == "lws" and self.freeze not in (None, "all"):
            raise ValueError("lws freezes the backbone; leave freeze out, or set it to all")
        return self

    @property
    def begins_anew(self) -> bool:
        """Whether it has an optimizer and a schedule of its own."""
        named = self.freeze, self.head, self.optimizer, self.schedule
        return any(value is not None for value in named)


class TrainingConfig(Settings):
    """The loop."""

    epochs: int = Field(ge=0)
    """Passes over the sampler; 0 evaluates the initial model. With `stages` their sum, which need
    not be given."""
    stages: tuple[Stage, ...] = ()
    """Parts of the training, one after the other; none: one that is as the configuration says."""
    batch_size: int = Field(32, ge=1)
    """Images of a batch, which the processes of `torchrun` share."""
    sync_batch_norm: bool = True
    """Several processes normalise over the whole batch, as one does; false: each over its share,
    which is faster."""
    fsdp: bool = False
    """Several processes share the weights out (PyTorch's FSDP2), for models that do not fit into
    one; false: each has them all (DistributedDataParallel)."""
    accumulate: int = Field(1, ge=1)
    """Batches whose gradients are added up before an update."""
    clip_grad_norm: float | None = Field(None, gt=0)
    """Largest norm of the gradient of an update; longer ones are scaled down. null: no limit."""
    autocast: Literal["none", "bf16", "fp16"] = "none"
    """Precision of the forward pass; losses are always computed in float32."""
    head_only_epochs: int = Field(0, ge=0)
    """First epochs in which only the head learns and the backbone stays as it is."""
    ema_decay: float | None = Field(None, gt=0, lt=1)
    """Evaluate and save an exponential moving average of the weights; null: the weights."""
    workers: int | None = Field(None, ge=0, le=1024)
    """Processes that load images, for each process that trains; 0 loads in that one, null decides
    by cores and images."""
    save_every: SaveEvery = SaveEvery(minutes=10)
    """How often to save the state within an epoch; it is saved after each epoch, too. What was
    trained since then is what a kill loses."""
    save: Literal["full", "difference"] = "full"
    """What checkpoints hold: all weights, or those that differ from the weights that the backbone
    began with, which must then be there whenever the checkpoint is read."""
    early_stopping: EarlyStoppingConfig | None = None
    """End training when a metric no longer improves, and evaluate `best.safetensors`; null: train
    all epochs."""
    features: Literal["cache", "none"] | FeaturesConfig | None = None
    """Of a frozen backbone (`model.freeze: all`): `cache` computes them once and trains the head on
    them, a section says of which views, `none` computes them in each epoch; null: `cache` where the
    backbone is frozen."""
    channels_last: bool = True
    """Memory layout of images and weights; convolutions are faster with true."""
    compile: bool | CompileConfig = False
    """Compile model and loss (`torch.compile`): true, or a section with a `mode`. Needs a C++
    compiler on a CPU, Triton on a GPU, and minutes at the start; in one process only."""
    gradient_checkpointing: bool = False
    """Compute a block's activations again in the backward pass instead of keeping them: less
    memory for a third more time, with the same numbers; for backbones that have it, in one process
    only."""


class EvaluateEvery(Settings):
    """How often training evaluates; it also does so after the last epoch."""

    epochs: int | None = Field(None, ge=0)
    """Evaluate after every so many epochs; 0: only after the last."""
    updates: int | None = Field(None, ge=1)
    """Evaluate after every so many updates, also within epochs."""

    @model_validator(mode="after")
    def _check(self) -> EvaluateEvery:
        if (self.epochs is None) == (self.updates is None):
            raise ValueError("give either epochs or updates")
        return self


class EvaluationConfig(Settings):
    """What is evaluated, and which classes are head and tail."""

    batch_size: int = Field(64, ge=1)
    """Images of a batch in evaluation; without effect on results."""
    every: Annotated[int, Field(ge=0)] | EvaluateEvery = 1
    """Evaluate after every so many epochs; 0: only after the last. `{updates: n}` evaluates after
    every n updates, also within epochs."""
    best_by: Literal["mAP", "AUROC", "top1"] = "mAP"
    """By what the epoch of `best.safetensors` is chosen: a mean over all classes, or top-1
    accuracy, of images with exactly one label each."""
    head: int = Field(100, ge=1)
    """Classes with at least this many training images are head classes."""
    tail: int = Field(20, ge=0)
    """Classes with fewer training images than this are tail classes."""
    views: tuple[ViewName | ViewConfig, ...] = Field(("whole",), min_length=1)
    """Views of each image whose answers are averaged (test-time augmentation): `whole`, `mirror`,
    `five_crops`, `ten_crops`, or sections."""
    mirror: bool = False
    """Show the mirror image of each view, too."""
    average: Average = "logits"
    """What is averaged over the views."""
    unseen: tuple[str, ...] | UserPath = ()
    """Classes that are evaluated but not trained: their labels in the training images are hidden,
    and the mAP of seen and unseen classes is reported apart. Names, or a file with one per line."""

    @property
    def shown(self) -> tuple[ViewConfig, ...]:
        """Every view that the network is shown, one by one."""
        return expand_views(self.views, self.mirror)

    @model_validator(mode="after")
    def _check(self) -> EvaluationConfig:
        if twice := [view for k, view in enumerate(self.shown) if view in self.shown[:k]]:
            raise ValueError(f"views: a view is there twice ({twice[0]}), which would count double")
        if self.tail > self.head:
            raise ValueError(f"tail ({self.tail}) must not exceed head ({self.head})")
        return self

    @property
    def every_updates(self) -> int | None:
        """Updates from one evaluation to the next; None if epochs are counted."""
        return None if isinstance(self.every, int) else self.every.updates

    @property
    def every_epochs(self) -> int:
        """Epochs from one evaluation to the next; 0: only after the last, or by updates."""
        return self.every if isinstance(self.every, int) else self.every.epochs or 0
