"""The runs that can be trained: those of the published tables, and ours."""

from collections.abc import Iterable
from dataclasses import replace

from ssl_jax.common.errors import InputError
from ssl_jax.config import Training

QUICK_CLIPS = 100
QUICK_ROOMS = 100
QUICK_EPOCHS = 3
MAIN_RUNS = ("model1", "model2", "model2_continued")  # the reported tables, in order

# The runs of the published tables, what the public notebook holds beyond them, and ours.
RUNS = {
    "model1": Training(clips=100, epochs=12, batch=16, learning_rate=1e-3),
    "model2": Training(),
    "model2_continued": Training(
        epochs_planned=40,
        learning_rate=1e-3,
        cosine_epochs=20,
        start_from="model2",
        start_epoch=16,
        restart_epochs=(17, 18),
        last_share=0.2,  # clips 561 to 700
    ),
    "model2_to40": Training(
        epochs=40,
        epochs_planned=40,
        learning_rate=1e-3,
        cosine_epochs=20,
        start_from="model2_continued",
        start_epoch=20,
        keep_optimiser=True,
        last_share=0.2,
    ),
    "model2_to60": Training(
        epochs=60,
        epochs_planned=60,
        learning_rate=1e-4,
        cosine_epochs=20,
        start_from="model2_to40",
        start_epoch=40,
        restart_epochs=(41,),
        last_share=0.2,
    ),
    "resnet": Training(
        model="resnet", clips=100, epochs=5, batch=16, learning_rate=1e-3, weight_decay=0.02
    ),
    "deep": Training(model="deep_three_branch", clips=100, epochs=10),
    "ours": Training(
        model="phase", batch=64, weight_decay=0.1, cosine_epochs=20, warmup_epochs=0.5
    ),
    # for other people's ears: mirrored heads, and few epochs, before it knows the heads too well
    "ours_mirrored": Training(
        model="phase",
        epochs=3,
        epochs_planned=3,
        batch=64,
        weight_decay=0.1,
        cosine_epochs=3,
        warmup_epochs=0.5,
        label_spread=5.0,
        mirrored=True,
    ),
    # for any head and room
    "general": Training(
        model="phase_spectrum",
        clips=2800,
        epochs=24,
        epochs_planned=24,
        batch=64,
        weight_decay=0.1,
        cosine_epochs=24,
        warmup_epochs=0.5,
        label_spread=5.0,
        short_share=0.3,
        coloured=0.5,
        level_curves=3.0,
        canal_share=0.5,
        ild_spread=0.3,
        mirrored=True,
    ),
}
ROOM_RUNS = ("general",)


def quick_run(run: Training) -> Training:
    """The same run with few clips and epochs; what goes on from one that begins still does."""
    short = replace(run, clips=QUICK_CLIPS, epochs=QUICK_EPOCHS, epochs_planned=QUICK_EPOCHS)
    if not run.start_from:
        return short
    sooner = run.start_epoch - QUICK_EPOCHS
    return replace(
        short,
        start_epoch=QUICK_EPOCHS,
        epochs=2 * QUICK_EPOCHS,
        epochs_planned=2 * QUICK_EPOCHS,
        restart_epochs=tuple(epoch - sooner for epoch in run.restart_epochs),
    )


def seeded_runs(
    runs: dict[str, Training], wanted: Iterable[str], seeds: int
) -> dict[str, Training]:
    """The runs `wanted`, and each with the `seeds` - 1 next seeds as NAME_seedK.

    A run that starts from another starts from its twin of the same seed.

    Raises
    ------
    InputError
        For a run that the experiment does not have.
    """
    chosen = {}
    for name in wanted:
        if name not in runs:
            raise InputError(
                f"--runs {name}: is none of {', '.join(runs)}: "
                "leave out --quick, or name another --protocol"
            )
        run = runs[name]
        chosen[name] = run
        for seed in range(run.seed + 1, run.seed + seeds):
            start = f"{run.start_from}_seed{seed}" if run.start_from else ""
            chosen[f"{name}_seed{seed}"] = replace(run, seed=seed, start_from=start)
    return chosen
