"""Small SOFA files, sound ones and others."""

import h5py
import numpy as np

from ssl_jax.sounds.hrtf import KEMAR  # noqa: F401

FS = 44_100


def write_sofa(path, **changes):
    """A small sound SOFA file; `changes` replace its datasets and attributes, None leaves one out."""
    louder = 2 ** np.outer(
        np.sin(np.radians(5.0 * np.arange(72))), (1, -1)
    )  # the ear on the source's side
    content = {
        "Data.IR": np.random.default_rng(7).normal(size=(72, 2, 32)) * louder[..., None],
        "Data.SamplingRate": np.array([44_100.0]),
        "Data.Delay": np.zeros((1, 2)),
        "SourcePosition": np.stack([np.arange(72) * 5.0, np.zeros(72), np.ones(72)], axis=1),
        "ReceiverPosition": np.array([[0, 0.09, 0], [0, -0.09, 0]])[:, :, None],
        "ListenerView": np.array([[1.0, 0, 0]]),
    }
    content |= dict(SOFAConventions="SimpleFreeFieldHRIR", DataType="FIR", kind="spherical")
    content |= {name.replace("__", "."): value for name, value in changes.items()}
    kind = content.pop("kind")
    with h5py.File(path, "w") as file:
        for name, value in content.items():
            if isinstance(value, (str, h5py.Empty, np.bytes_)):
                file.attrs[name] = value
            elif isinstance(value, h5py.VirtualLayout):
                file.create_virtual_dataset(name, value)
            elif isinstance(value, dict):
                file.create_dataset(name, **value)
            elif value is not None:
                file[name] = value  # an array or a link
        if kind and isinstance(file.get("SourcePosition"), h5py.Dataset):
            file["SourcePosition"].attrs["Type"] = np.bytes_(kind)
    return path


def declared(*shape):
    """A dataset of this shape of which nothing is stored."""
    return dict(shape=shape, chunks=tuple(min(n, 64) for n in shape), dtype="f8")
