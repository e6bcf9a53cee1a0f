"""results/scenes.md and its figure: what the published sample mixtures are made of."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ssl_jax.common.progress import say
from ssl_jax.common.provenance import commit, machine
from ssl_jax.report.style import OURS, REPORTED, STYLE, TICKS, plt, save_figure
from ssl_jax.report.tables import markdown_table
from ssl_jax.sounds.hrtf import head_files
from ssl_jax.sounds.steadiness import BLOCK_S, block_levels, steadiness
from ssl_jax.studies import scenes as study
from ssl_jax.studies.pages import show_page
from ssl_jax.studies.scenes import CORRECTED, FS, PLAIN, SCENE_AZIMUTHS, Direction, Separation

OTHER = "#9aa5b1"  # heads that are not picked
THIRDS = 1000 * 2 ** (np.arange(-21, 26, 2) / 6)  # Hz, edges of third octaves, 88 Hz to 18 kHz
OCTAVES = 1000 * 2.0 ** np.arange(-3.5, 4.5)  # Hz, edges, 88 Hz to 11 kHz, and above
CONCLUSIONS = """\
What they say:

- **Heads and directions.** In each scene one head stands out by far, in the direction that the rule
  picks: nearest azimuth, whatever the elevation. No other measured direction of any head explains a
  scene better.
- **Kind of noise.** The rests keep their level, so they are steady noise. The voice moves by 16 dB.
  In ESC-10 rain moves by 1.4 dB, chainsaws by 4.0, clock ticks by 8.6, dogs by 12.1 and sneezes by
  18.4 (medians).
- **SNR.** The code draws 15 to 40 dB for each of two noises and divides each by sqrt(2). Together
  they then lie most often at 20 to 30 dB. The scenes agree.
- **Open contradiction.** The published weights ask for about 15 dB more noise
  ([fingerprint.md](fingerprint.md)). The scenes speak for themselves, the weights for their
  training set. Perhaps the features came from another run of the generator; nothing on record
  says so.
"""
HEADS_TEXT = """\
One voice S through the right head gives the ears L = S H_L and R = S H_R, so L H_R - R H_L is 0.
The score is its power over that of both terms, 150 to 7,500 Hz: the lower, the better. First the
directions that the rule picks, then all that the files hold.
"""
PARTS_TEXT = f"""\
The four scenes share one dry voice. Least squares over all eight ears finds it; the weight of an
ear is one over the power of its rest. SNR: voice over rest, both ears and the whole second.
Steadiness: standard deviation of levels in 50 ms, mean of both ears; the lower, the steadier.

*Plain*: the voice ends at {PLAIN.top / 1000:g} kHz, and weights are as they come. Two things
disturb this. Resampling from 16 kHz left a mirror image of the voice above 8 kHz, and what the fit
cuts off counts as rest. And the fit runs into one ear: its weight grows without bound, its noise
becomes voice, and its rest is empty but for what was cut off.

*Corrected*: the voice ends at {CORRECTED.top / 1000:g} kHz, and the power of a rest is divided by
the share of the ear's noise that the fit leaves in it, for weights and SNR alike.
"""


@dataclass(frozen=True)
class Findings:
    """All that the page and the figure show."""

    heads: list[str]
    scores: np.ndarray  # (heads, scenes) in dB, of the directions that the rule picks
    ranks: list[list[Direction]]  # of each scene, all directions, best first
    plain: Separation
    corrected: Separation


def analyse(scenes: np.ndarray, paths: list[Path]) -> Findings:
    """Take scenes (scenes, 2, samples) apart with the heads of SOFA files."""
    heads = study.read_heads(paths)
    spectra = study.head_spectra(heads)
    scores = study.response_scores(scenes, spectra)
    own = spectra[scores.argmin(axis=0), np.arange(len(scenes))]
    return Findings(
        heads=[head.name for head in heads],
        scores=scores,
        ranks=study.rank_directions(scenes, heads),
        plain=study.separate(scenes, own, PLAIN),
        corrected=study.separate(scenes, own, CORRECTED),
    )


def scene_steadiness(sounds: np.ndarray) -> np.ndarray:
    """Steadiness (scenes,) in dB of sounds (scenes, 2, samples), mean of both ears."""
    return steadiness(sounds, FS).mean(axis=-1)


def heads_table(findings: Findings) -> str:
    """The head of each scene and the next."""
    rows = []
    for azimuth, scores in zip(SCENE_AZIMUTHS, findings.scores.T, strict=True):
        first, second = scores.argsort()[:2]
        row = [f"{azimuth}°"]
        for head in (first, second):
            row += [findings.heads[head], f"{scores[head]:.1f} dB"]
        rows.append(row)
    return markdown_table(["azimuth", "head", "score", "next head", "score"], rows)


def directions_table(findings: Findings) -> str:
    """The best of all measured directions for each scene, and the next."""
    rows = []
    for azimuth, ranks in zip(SCENE_AZIMUTHS, findings.ranks, strict=True):
        row = [f"{azimuth}°"]
        for best in ranks[:2]:
            row.append(
                f"{best.head} at {best.azimuth:.0f}°, elevation {best.elevation:.0f}°: "
                f"{best.score:.1f} dB"
            )
        rows.append(row)
    number = len(findings.ranks[0])
    return markdown_table(["azimuth", f"best of {number} directions", "next"], rows)


def parts_table(findings: Findings) -> str:
    """Gain, SNR and steadiness of each scene, of both methods."""
    head = ["azimuth", "gain of the voice", "steadiness of the voice"]
    columns = [scene_steadiness(findings.corrected.voice)]
    for name, separation in (("plain", findings.plain), ("corrected", findings.corrected)):
        head += [f"SNR, {name}", f"steadiness of the rest, {name}"]
        columns += [study.rest_snr(separation), scene_steadiness(separation.rest)]
    rows = []
    for scene, azimuth in enumerate(SCENE_AZIMUTHS):
        levels = [f"{column[scene]:.1f} dB" for column in columns]
        rows.append([f"{azimuth}°", f"{findings.corrected.gains[scene]:.3f}", *levels])
    return markdown_table(head, rows)


def spectrum_table(rest: np.ndarray) -> str:
    """Levels of rests (scenes, 2, samples) in octaves, in dB of their sum."""
    edges = np.append(OCTAVES, FS / 2)
    levels = study.band_levels(rest, edges)
    total = 10 * np.log10(np.sum(10 ** (levels / 10), axis=-1, keepdims=True))
    rows = []
    for azimuth, row in zip(SCENE_AZIMUTHS, levels - total, strict=True):
        rows.append([f"{azimuth}°", *(f"{level:.0f}" for level in row)])
    centres = [f"{centre:g} Hz" for centre in OCTAVES[:-1] * np.sqrt(2)]
    return markdown_table(["azimuth", *centres, f"over {OCTAVES[-1] / 1000:.0f} kHz"], rows)


def write_findings(path: Path, findings: Findings, own_heads: Path | None) -> None:
    """Write the page and print it; the conclusions hold for the heads of the package alone."""
    source = f"Scenes: {study.REPOSITORY}, commit {study.COMMIT}, {study.FOLDER}"
    heads = f"{len(findings.heads)} heads of {own_heads or 'the package'}"
    show_page(
        path,
        "# The published scenes, taken apart\n",
        f"{source}; {heads}; device: {machine()}; commit: {commit()}. `ssl_jax scenes DIR`\n",
        CONCLUSIONS if own_heads is None else "",
        "## Which head\n",
        HEADS_TEXT,
        heads_table(findings),
        directions_table(findings),
        "## Voice and rest\n",
        PARTS_TEXT,
        parts_table(findings),
        "## Spectrum of the rest\n",
        "Octaves, in dB of the whole rest, corrected.\n",
        spectrum_table(findings.corrected.rest),
    )


def short_name(head: str) -> str:
    """The number of a CIPIC head, the whole name of another."""
    return head.removeprefix("cipic_")


def draw_scores(axes, findings: Findings, scene: int) -> None:
    """The score of every head; the picked one in colour, with its name."""
    scores = findings.scores[:, scene]
    picked = scores.argmin()
    places = np.arange(len(scores))
    colours = [OTHER] * len(scores)
    colours[picked] = REPORTED
    axes.vlines(places, 0, scores, colors=colours, linewidth=2)
    axes.scatter(places, scores, c=colours, s=22, zorder=3)
    axes.annotate(
        short_name(findings.heads[picked]),
        (picked, scores[picked]),
        xytext=(6, 0),
        textcoords="offset points",
        va="center",
        weight="bold",
    )
    axes.set(ylabel=f"azimuth {SCENE_AZIMUTHS[scene]}°\nscore (dB)")


def draw_levels(axes, separation: Separation, scene: int) -> None:
    """Levels of voice and rest over time, mean of both ears."""
    for sound, colour, label in (
        (separation.voice, OURS, "voice"),
        (separation.rest, REPORTED, "rest"),
    ):
        levels = block_levels(sound[scene], FS).mean(axis=0)
        edges = BLOCK_S * np.arange(len(levels) + 1)
        axes.stairs(levels, edges, baseline=None, color=colour, linewidth=1.8, label=label)
    snr = study.rest_snr(separation)[scene]
    rest = scene_steadiness(separation.rest)[scene]
    text = f"SNR {snr:.1f} dB, rest ± {rest:.1f} dB"
    axes.text(0.99, 0.97, text, transform=axes.transAxes, ha="right", va="top")
    axes.set(ylabel="level (dB of full scale)", xlim=(0, 1))


def draw_spectra(axes, separation: Separation, scene: int) -> None:
    """Levels of voice and rest in third octaves, in dB of the voice's strongest."""
    voice = study.band_levels(separation.voice[scene], THIRDS)
    rest = study.band_levels(separation.rest[scene], THIRDS)
    peak = voice.max()
    bands = np.count_nonzero(THIRDS[1:] <= CORRECTED.top)  # that the voice reaches
    look: dict = {"baseline": None, "linewidth": 1.8}
    axes.stairs(voice[:bands] - peak, THIRDS[: bands + 1], color=OURS, **look)
    axes.stairs(rest - peak, THIRDS, color=REPORTED, **look)
    axes.set(xscale="log", ylabel="level (dB)", xlim=(THIRDS[0], THIRDS[-1]))
    ticks = [tick for tick in TICKS if THIRDS[0] <= tick <= THIRDS[-1]]
    axes.set_xticks(ticks, [TICKS[tick] for tick in ticks])
    axes.minorticks_off()


def draw(path: Path, findings: Findings) -> None:
    """A row for each scene: which head, levels over time, spectra."""
    with plt.rc_context(STYLE):
        figure, grid = plt.subplots(
            len(SCENE_AZIMUTHS),
            3,
            figsize=(11, 9),
            sharex="col",
            sharey="col",
            width_ratios=(1.15, 1, 1),
        )
        for scene, row in enumerate(grid):
            draw_scores(row[0], findings, scene)
            draw_levels(row[1], findings.corrected, scene)
            draw_spectra(row[2], findings.corrected, scene)
        titles = ("Which head", "Levels in 50 ms", "Spectra in third octaves")
        for axes, title in zip(grid[0], titles, strict=True):
            axes.set_title(title)
        grid[0, 1].legend(loc="upper right", bbox_to_anchor=(1, 0.88))
        names = [short_name(head) for head in findings.heads]
        grid[-1, 0].set_xticks(range(len(names)), names, rotation=90, fontsize=7)
        grid[-1, 0].set_xlabel("head")
        grid[-1, 1].set_xlabel("time (s)")
        grid[-1, 2].set_xlabel("frequency (Hz)")
        for axes in grid[:, 0]:
            axes.grid(visible=False, axis="x")
            axes.set_ylim(findings.scores.min() - 4, max(0, findings.scores.max()) + 1)
        save_figure(figure, path)


def run_scenes(repository: Path, heads: Path | None, results: Path, figures: Path) -> None:
    """The stage `scenes`: write results/scenes.md and its figure, and print the page.

    Parameters
    ----------
    repository : a clone of the reproduced repository, or its folder Test_Audio
    heads : a folder of SOFA files, None for those of the package
    results, figures : folders
    """
    scenes = study.read_scenes(repository)
    paths = head_files(heads)
    say(f"{len(scenes)} scenes and {len(paths)} heads: some ten seconds")
    findings = analyse(scenes, paths)
    write_findings(results / "scenes.md", findings, heads)
    draw(figures / "scenes.png", findings)
