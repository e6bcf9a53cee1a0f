"""Small SOFA files, sound ones and others."""

import h5py
import numpy as np

from ssl_jax.common.angles import signed_degrees
from ssl_jax.sounds.hrtf import KEMAR  # noqa: F401

FS = 44_100
AZIMUTH = 5.0 * np.arange(72)
EXACT = 1e-9  # degrees, or of full scale: rounding of float64
# samples at most between the ears: 0.36 ms, as much as 32 taps allow
MOST_LAG = 16


def head_responses(azimuth=AZIMUTH, taps=32, seed=7):
    """Responses (n, 2, taps) of a simple head: the nearer ear hears a click first, and louder."""
    side = np.sin(np.radians(azimuth))
    click = np.random.default_rng(seed).normal(size=(len(side), taps - MOST_LAG))
    click[:, 0] += 4
    responses = np.zeros((len(side), 2, taps))
    for response, direction, left in zip(responses, click, side, strict=True):
        for ear, nearer in zip(response, (left, -left), strict=True):
            lag = round(MOST_LAG / 2 * (1 - nearer))
            ear[lag : lag + len(direction)] = 2**nearer * direction
    return responses


def ring(azimuth=AZIMUTH, elevation=0.0, distance=1.0):
    """Spherical positions (n, 3) of sources around a listener."""
    columns = np.broadcast_arrays(azimuth, elevation, distance)
    return np.stack(columns, axis=1)


def cartesian(positions):
    """Points (n, 3), m, of spherical positions (n, 3)."""
    azimuth, elevation = np.radians(positions[:, :2].T)
    flat = positions[:, 2] * np.cos(elevation)
    up = positions[:, 2] * np.sin(elevation)
    return np.stack([flat * np.cos(azimuth), flat * np.sin(azimuth), up], axis=1)


def write_sofa(path, kind="spherical", units=None, **changes):
    """A small sound SOFA file.

    Parameters
    ----------
    kind : the Type of SourcePosition, or None
    units : texts by field name, their Units
    changes : replace datasets and attributes; None leaves one out, "__" stands for a dot
    """
    content = {
        "Data.IR": head_responses(),
        "Data.SamplingRate": np.array([44_100.0]),
        "Data.Delay": np.zeros((1, 2)),
        "SourcePosition": ring(),
        "ReceiverPosition": np.array([[0, 0.09, 0], [0, -0.09, 0]])[:, :, None],
        "ListenerView": np.array([[1.0, 0, 0]]),
        "SOFAConventions": "SimpleFreeFieldHRIR",
        "DataType": "FIR",
    }
    content |= {name.replace("__", "."): value for name, value in changes.items()}
    with h5py.File(path, "w") as file:
        for name, value in content.items():
            if isinstance(value, (str, h5py.Empty, np.bytes_)):
                file.attrs[name] = value
            elif isinstance(value, dict):
                file.create_dataset(name, **value)
            elif value is not None:
                file[name] = value
        if kind and isinstance(file.get("SourcePosition"), h5py.Dataset):
            file["SourcePosition"].attrs["Type"] = np.bytes_(kind)
        for name, unit in (units or {}).items():
            file[name].attrs["Units"] = np.bytes_(unit)
    return path


def declared(*shape):
    """A dataset of this shape of which nothing is stored."""
    return dict(shape=shape, chunks=tuple(min(n, 64) for n in shape), dtype="f8")


def assert_azimuths(sofa, azimuth=AZIMUTH):
    np.testing.assert_allclose(signed_degrees(sofa.azimuth - azimuth), 0, atol=EXACT)
