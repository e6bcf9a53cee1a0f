"""Sounds made from random numbers: clicks, bursts and tones, wide-band as no speech corpus is.

They stand for what else people localise: castanets, knocks, rustling, singing, instruments.
"""

import numpy as np

LOWEST_HZ = 50.0  # of what is made
TOP_SHARE = 0.95  # of half the rate: the highest frequency of a tone
# dB per octave of a sound's spectrum: from that of a low voice to rising ones such as hiss
SLOPES = (-12.0, 3.0)
CLICKS = (2, 20)  # in a sound: at least, and one more than at most
CLICK_DECAY_S = (0.001, 0.02)  # time constant
CLICK_DECAYS = 8  # time constants that a click lasts: it is 69 dB down by then
GAIN = (0.3, 1.0)  # of a click or burst
BURST_S = (0.05, 0.4)  # a burst, and a pause between two
EDGE_S = 0.01  # over which a burst or tone begins and ends
F0_HZ = (80.0, 1000.0)  # of a tone: from a bass to a high soprano
VIBRATO_SHARE = 0.03  # of f0, at most
VIBRATO_HZ = (4.0, 7.0)  # as singers have it
FORMANTS = 4
FORMANT_HZ = (300.0, 10_000.0)
FORMANT_GAIN_DB = 20.0  # at most
NOISE_BELOW_TONE_DB = (10.0, 40.0)


def sloped_noise(samples: int, fs: int, slope: float, rng: np.random.Generator) -> np.ndarray:
    """Gaussian noise (samples,) whose spectrum changes by `slope` dB per octave."""
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    octaves = np.log2(np.maximum(np.fft.rfftfreq(samples, 1 / fs), LOWEST_HZ) / LOWEST_HZ)
    return np.fft.irfft(spectrum * 10 ** (slope * octaves / 20), samples)


def clicks(samples: int, fs: int, rng: np.random.Generator) -> np.ndarray:
    """Clicks (samples,) at random times, each a noise that dies away."""
    shortest, longest = np.log(CLICK_DECAY_S)
    decay = np.exp(rng.uniform(shortest, longest))
    length = min(samples, round(CLICK_DECAYS * decay * fs))
    envelope = np.exp(-np.arange(length) / (decay * fs))
    slope = rng.uniform(*SLOPES)
    sound = np.zeros(samples + length)
    for start in rng.integers(samples, size=rng.integers(*CLICKS)):
        gain = rng.uniform(*GAIN)
        sound[start : start + length] += gain * envelope * sloped_noise(length, fs, slope, rng)
    return sound[:samples]


def on_and_off(samples: int, fs: int, rng: np.random.Generator) -> np.ndarray:
    """An envelope (samples,) from 0 to 1 of bursts with pauses between, and soft edges."""
    envelope = np.zeros(samples)
    position = 0
    while position < samples:
        burst, pause = (rng.uniform(*BURST_S, size=2) * fs).astype(int)
        envelope[position : position + burst] = rng.uniform(*GAIN)
        position += burst + pause
    edge = np.hanning(round(2 * EDGE_S * fs) + 2)
    return np.convolve(envelope, edge / edge.sum(), mode="same")


def bursts(samples: int, fs: int, rng: np.random.Generator) -> np.ndarray:
    """Bursts of noise (samples,)."""
    slope = rng.uniform(*SLOPES)
    return on_and_off(samples, fs, rng) * sloped_noise(samples, fs, slope, rng)


def tones(samples: int, fs: int, rng: np.random.Generator) -> np.ndarray:
    """A harmonic tone (samples,) with vibrato and formants, as singers have them, in noise."""
    seconds = np.arange(samples) / fs
    lowest, highest = np.log(F0_HZ)
    f0 = np.exp(rng.uniform(lowest, highest))
    glide = rng.uniform(-0.2, 0.2)  # of f0, over the sound
    vibrato = rng.uniform(0, VIBRATO_SHARE) * np.sin(
        2 * np.pi * (rng.uniform(*VIBRATO_HZ) * seconds + rng.random())
    )
    frequency = f0 * (1 + glide * (seconds / seconds[-1] - 0.5) + vibrato)
    phase = 2 * np.pi * np.cumsum(frequency) / fs
    count = int(TOP_SHARE * fs / 2 / frequency.max())
    partials = np.arange(1, count + 1)
    slope = rng.uniform(SLOPES[0], 0)
    levels = slope * np.log2(partials) + formants(f0 * partials, rng)
    starts = rng.uniform(0, 2 * np.pi, count)
    sound = np.zeros(samples)
    for partial, level, start in zip(partials, levels, starts, strict=True):
        sound += 10 ** (level / 20) * np.sin(partial * phase + start)
    noise = sloped_noise(samples, fs, slope, rng)
    noise_gain = 10 ** (-rng.uniform(*NOISE_BELOW_TONE_DB) / 20)
    noise *= noise_gain * np.std(sound) / np.std(noise)
    return on_and_off(samples, fs, rng) * (sound + noise)


def formants(frequency: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The gain (n,), dB, of a few resonances at frequencies (n,), Hz."""
    octaves = np.log2(frequency)
    gain = np.zeros(len(frequency))
    lowest, highest = np.log2(FORMANT_HZ)
    for centre in rng.uniform(lowest, highest, FORMANTS):
        width = rng.uniform(0.1, 0.4)  # octaves
        height = rng.uniform(0, FORMANT_GAIN_DB)
        gain += height * np.exp(-0.5 * ((octaves - centre) / width) ** 2)
    return gain


MADE_SOUNDS = {"clicks": clicks, "bursts": bursts, "tones": tones}
