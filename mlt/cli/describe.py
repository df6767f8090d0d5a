"""What a configuration would do, in words: `--dry-run`."""

from __future__ import annotations

from collections.abc import Iterator

from mlt.cli.split_tables import class_bars
from mlt.config import Config, dump_config
from mlt.config.training import TauNormalised
from mlt.data.decode_once import estimated_size
from mlt.engine.cached_features import uses_features
from mlt.engine.cached_images import images_to_keep
from mlt.engine.prepared_stage import PreparedStage
from mlt.engine.setup import Setup, prepare
from mlt.engine.what_learns import what_learns
from mlt.inspection import inspect_data, short_text
from mlt.run_folder import RunFolder

__all__ = ["describe"]


def describe(config: Config) -> str:
    """Build everything a run would need and say what it is; nothing is trained.

    What a run would read first is read here too: embedded data that is not there yet is written,
    pretrained weights are downloaded.

    Args:
        config: The run.

    Returns:
        What was found in the data, the resolved configuration, the classes, the parameters and the
        steps.

    Raises:
        UserError: For what a run would stop at before its first step.
    """
    setup = prepare(config, None)
    model = setup.training.model
    total = sum(p.numel() for p in model.parameters())
    learning = sum(p.numel() for p in model.parameters() if p.requires_grad)
    validation = setup.data.validation
    lines = [
        _found(setup),
        "",
        dump_config(config).rstrip(),
        "",
        class_bars(setup.data.split.name, setup.class_counts),
        *setup.notes,
        "",
        *([] if validation is None else [f"validation     {len(validation)} images"]),
        f"test images    {len(setup.data.test)}",
        *_kept_images(setup),
        f"device         {setup.device}",
        f"parameters     {total:,} in all, {learning:,} learn ({100 * learning / total:.3g} %)",
        *_steps(setup),
        f"output         {config.output}{_earlier_run(config)}",
        "dry run: nothing was trained",
    ]
    return "\n".join(lines)


def _found(setup: Setup) -> str:
    """What the labels alone say of the data; that the images are there was checked before."""
    data = setup.data
    tables = {"train": data.train, "validation": data.validation, "test": data.test}
    found = inspect_data(
        {name: table for name, table in tables.items() if table is not None},
        limits=setup.class_counts.limits,
        pictures=0,
    )
    return short_text(found)


def _kept_images(setup: Setup) -> Iterator[str]:
    """About how much `data.cache` would take."""
    if uses_features(setup):
        return
    sizes = {part: estimated_size(of) for part, of in images_to_keep(setup)}
    if sizes:
        parts = ", ".join(f"{part} {size / 1e9:.2g} GB" for part, size in sizes.items())
        data = setup.config.data
        yield (
            f"decoded once   about {sum(sizes.values()) / 1e9:.2g} GB ({parts}); at most "
            f"{data.cache_size:g} GB {'of memory' if data.cache == 'ram' else 'of files'}"
        )


def _steps(setup: Setup) -> Iterator[str]:
    """What learns at which rate for how long, in each stage."""
    stages = setup.stages
    for stage in stages:
        plan, updates = stage.plan, stage.updates_per_epoch
        if len(stages) > 1:
            yield f"stage {plan.number + 1:<9}{_in_words(stage)}"
        epochs = plan.end - plan.start
        if plan.begins_anew and epochs:
            yield from (f"  {line}" for line in what_learns(setup.training.model, stage))
            for group in stage.optimizer.param_groups:
                yield (
                    f"  {group['name']:30} {sum(p.numel() for p in group['params']):>12,}  "
                    f"lr {plan.config.optimizer.lr * group['lr_scale']:.3g}, "
                    f"decay {group['weight_decay']:g}"
                )
        if epochs or len(stages) == 1:
            yield f"steps          {epochs} epochs of {updates} updates = {epochs * updates:,}"


def _in_words(stage: PreparedStage) -> str:
    plan, settings = stage.plan, stage.plan.settings
    if isinstance(settings.head, TauNormalised):
        return f"no training: the head is normalised, tau {settings.head.tau}"
    changed = [f"head {settings.head}"] if settings.head else []
    changed += [f"another {key}" for key in ("loss", "sampler") if getattr(settings, key)]
    if not plan.begins_anew:
        changed.append("goes on with optimizer and schedule")
    return ", ".join(
        [
            f"epochs {plan.start + 1} to {plan.end}",
            f"{stage.num_parameters:,} parameters learn",
            *changed,
        ]
    )


def _earlier_run(config: Config) -> str:
    if not RunFolder(config.output).worth_keeping:
        return ""
    return ", which holds an earlier run: --resume continues it, --overwrite replaces it"
