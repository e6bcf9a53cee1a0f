"""What a head's equalisation does: heads as measured, and with the mean spectrum of people.

The mean of a head's responses over directions tells no direction. It is of ear canals, loudspeakers
and laboratories (what is left without it are directional transfer functions, Middlebrooks 1999). A
network that knows people by theirs may hear another head's front as behind.
"""

from collections.abc import Sequence
from dataclasses import replace

import jax.numpy as jnp
import numpy as np

from ssl_jax.common.progress import track
from ssl_jax.config import AZIMUTHS, LEVEL_MAP
from ssl_jax.metrics import degrees_apart, nearest_class
from ssl_jax.networks.spectrum import FITTED_HZ
from ssl_jax.report.tables import markdown_table
from ssl_jax.sounds.hrtf import OTHER_HEADS, head_files, select_directions, turn_to_midline
from ssl_jax.sounds.mixing import spatialise
from ssl_jax.sounds.noises import Noises
from ssl_jax.sounds.rooms import MANIKIN_FILES
from ssl_jax.sounds.sofa import read_sofa
from ssl_jax.studies.front_scores import PRIORS, RANGES, cells_under
from ssl_jax.studies.places import FEWEST_DIRECTIONS, Place
from ssl_jax.studies.unseen_heads import Heard, Listening, Network, heard_at

NOISE_S = 0.4  # of pink noise that levels are read from
LOWEST_HZ = 50.0  # below it the noise gets no louder
SETTLED_FRAMES = 10  # of 10 ms, while the filters begin
SHOWN_RANGES = ("front ± 20°", "all around")
TITLE = (
    "## Equalisation\n\n"
    "The mean of a head's responses over directions tells no direction: it is of ear canals, "
    "loudspeakers and laboratories. Voices within 10° as in the first table, through every head as "
    "measured, and with this mean, in channels up to "
    f"{FITTED_HZ / 1000:g} kHz, made that of the people in the package.\n"
)
HEAD = (
    "head",
    "prior",
    *(f"{name}, {how}" for name in SHOWN_RANGES for how in ("as measured", "equalised")),
)


def pink_noise(fs: int) -> np.ndarray:
    """NOISE_S seconds of noise (samples,), as loud in every octave; seed 0."""
    samples = round(NOISE_S * fs)
    spectrum = np.fft.rfft(np.random.default_rng(0).standard_normal(samples))
    frequencies = np.maximum(np.fft.rfftfreq(samples, 1 / fs), LOWEST_HZ)
    return np.fft.irfft(spectrum / np.sqrt(frequencies), samples).astype(np.float32)


def levels_of(responses: np.ndarray, network: Network) -> np.ndarray:
    """Levels (n, channels), dB, of noise through responses (n, 2, taps), about each one's mean."""
    ears = np.asarray(spatialise(pink_noise(network.front.fs), responses))
    maps = np.asarray(network.cues(ears / np.abs(ears).max()), np.float32)
    levels = np.median(maps[:, LEVEL_MAP, :, SETTLED_FRAMES:], axis=-1)
    return levels - levels.mean(axis=1, keepdims=True)


def levels_of_people(network: Network) -> np.ndarray:
    """The mean levels (72, channels), dB, of the people in the package, by azimuth class."""
    paths = [path for path in (*OTHER_HEADS, *head_files(None)) if path.stem not in MANIKIN_FILES]
    total = np.zeros((AZIMUTHS, network.front.channels))
    for path in track(paths, "people", total=len(paths)):
        head = turn_to_midline(read_sofa(path, network.front.fs))
        responses, _ = select_directions(head, "horizontal")
        total += levels_of(responses.astype(np.float32), network)
    return total / len(paths)


def equalised(network: Network, place: Place, people: np.ndarray) -> Network:
    """The network, for sounds at a place whose mean spectrum it hears as that of people.

    Of channels up to FITTED_HZ alone: many recordings have nothing above.
    """
    gain = people[nearest_class(place.azimuth)].mean(axis=0) - levels_of(place.hrirs, network).mean(
        axis=0
    )
    gain[network.front.cfs > FITTED_HZ] = 0

    def cues(ears):
        maps = network.cues(ears)
        return maps.at[:, LEVEL_MAP].add(jnp.asarray(gain[:, None], maps.dtype))

    return replace(network, cues=cues)


def equalisation_section(
    places: Sequence[Place],
    as_measured: Sequence[Listening],
    voices: np.ndarray,
    noises: Noises,
    network: Network,
) -> list[str]:
    """The title and table of a page; nothing where no head or network is made for it.

    Parameters
    ----------
    places : of which heads in the free field are shown, if measured from FEWEST_DIRECTIONS or more
    as_measured : what the network heard of the same voices at each place
    voices : (n, samples)
    noises : see `heard_at`
    network : has to hear levels
    """
    shown = [
        (place, listening)
        for place, listening in zip(places, as_measured, strict=True)
        if not place.is_room and len(place.azimuth) >= FEWEST_DIRECTIONS
    ]
    if not shown or not network.front.levels:
        return []
    rows: list[list[str]] = []
    people = levels_of_people(network)
    for place, listening in shown:
        again = heard_at(place, voices, noises, [equalised(network, place, people)])
        heard = [listening[network.name, 1.0], again[network.name, 1.0]]
        for prior in PRIORS:
            cells = []
            for name in SHOWN_RANGES:
                cells += [_share_right(one, RANGES[name], prior) for one in heard]
            rows.append([place.name, prior, *cells])
    return [TITLE, markdown_table(list(HEAD), rows)]


def _share_right(heard: Heard, reach: float, prior: str) -> str:
    """The share within 10 degrees of sources at most `reach` degrees off straight ahead."""
    inside = degrees_apart(heard.truth, 0) <= reach
    return cells_under(prior, heard.posterior[inside], heard.truth[inside])["within_10"]
