"""Trained networks that come with the package: weights, what they are, and a checksum.

ssl_jax/data/weights/NAME.msgpack holds named arrays as `training.train` writes them under results/,
NAME.json says what they are, NAME.sha256 that they are whole.
"""

import dataclasses
from importlib import resources
from pathlib import Path

import numpy as np
from flax import nnx, serialization

from .checkpoints import from_named, unpack
from .config import FrontEnd
from .files import InputError, atomic_write, is_whole, read_json, write_checksum, write_json
from .models import build_model

MAX_BYTES = 1_000_000  # of one network in the package
PREFERRED = ("clean", "model2")  # the first of these that is there is used unless one is named
FIELDS = ("model", "front", "protocol", "corpus", "seed", "commit", "metrics")  # of NAME.json


def _folder(folder: Path | None) -> Path:
    return Path(str(resources.files("ssl_jax") / "data/weights")) if folder is None else Path(folder)


def available(folder: Path | None = None) -> list[str]:
    """Names of the networks there are, sorted; `folder` is the package's own unless given."""
    return sorted(path.stem for path in _folder(folder).glob("*.msgpack"))


def default_weights(folder: Path | None = None) -> str:
    """The network to use where none is named; InputError when there is none."""
    names = available(folder)
    if not names:
        raise InputError(f"{_folder(folder)}: no weights: install the package again")
    return next((name for name in PREFERRED if name in names), names[0])


def describe(name: str, folder: Path | None = None) -> dict:
    """What NAME.json says of a network; InputError when it or the weights are not there or damaged."""
    if name not in available(folder):
        raise InputError(f"model {name!r}: there is none of that name: "
                         f"use one of {', '.join(available(folder)) or '(none are installed)'}")
    path = _folder(folder) / f"{name}.msgpack"
    if not is_whole(path):
        raise InputError(f"{path}: damaged, or without its checksum: install the package again")
    info = read_json(path.with_suffix(".json"))
    missing = [field for field in FIELDS if not isinstance(info, dict) or field not in info]
    if missing:
        raise InputError(f"{path.with_suffix('.json')}: no field {missing[0]!r}: install the package again")
    return info


def load_weights(name: str, folder: Path | None = None) -> tuple[nnx.Module, FrontEnd]:
    """A trained network and the front-end it was trained on.

    Parameters
    ----------
    name : str
        One of `available()`.
    folder : Path, optional
        The package's own unless given.

    Returns
    -------
    model : nnx.Module, in evaluation mode
        Cue maps (batch, 3, channels, frames) to logits (batch, 72).
    front : FrontEnd

    Raises
    ------
    InputError
        No network of that name, or its files are damaged.
    """
    info = describe(name, folder)
    path = _folder(folder) / f"{name}.msgpack"
    try:
        front = FrontEnd(**info["front"])
        for field in dataclasses.fields(FrontEnd):
            value = getattr(front, field.name)
            if not isinstance(value, (int, field.type)) or (field.type is not str and not 0 < value < np.inf):
                raise ValueError(f"front.{field.name} is {value!r}")
        model = build_model(info["model"], 0)
        arrays = unpack(path, "install the package again")
        arrays = {key: array.astype(np.float32) if array.dtype == np.float16 else array for key, array in arrays.items()}
    except (AttributeError, TypeError, ValueError) as error:
        raise InputError(f"{path}: does not fit this version ({error}): install the package again") from None
    graph, weights, rest = nnx.split(model, nnx.Param, ...)
    try:
        model = nnx.merge(graph, from_named("weights", weights, arrays), from_named("rest", rest, arrays))
    except InputError as error:
        raise InputError(f"{path}: not of the network {info['model']!r} ({error})") from None
    model.eval()
    return model, front


def pack(source: Path, name: str, info: dict, folder: Path | None = None) -> Path:
    """Put a trained network into the package.

    Parameters
    ----------
    source : Path
        results/RUN/NAME_epochK.msgpack, as `training.train` writes it.
    name : str
        Its name in the package.
    info : dict
        `model` (a name `build_model` knows), `front` (FrontEnd or its fields), `protocol`, `corpus`,
        `seed`, `commit`, `metrics`.
    folder : Path, optional
        The package's own unless given.

    Returns
    -------
    Path of the new NAME.msgpack

    Raises
    ------
    InputError
        A field is missing, the weights do not fit the network, or they are too large.
    """
    missing = [field for field in FIELDS if field not in info]
    if missing:
        raise InputError(f"weights {name}: {missing[0]!r} is not given: needed are {', '.join(FIELDS)}")
    front = info["front"]
    info = {"name": name, **info, "front": dataclasses.asdict(front) if isinstance(front, FrontEnd) else front}
    arrays = unpack(Path(source), "train it again")
    arrays = {key: np.asarray(array) for key, array in sorted(arrays.items())}
    _, weights, rest = nnx.split(build_model(info["model"], 0), nnx.Param, ...)
    for prefix, tree in (("weights", weights), ("rest", rest)):
        from_named(prefix, tree, arrays)  # refuses what does not fit
    content = serialization.msgpack_serialize(arrays)
    if len(content) > MAX_BYTES:  # weights in half precision; batch statistics stay as they are
        arrays = {key: array.astype(np.float16) if key.startswith("weights") else array for key, array in arrays.items()}
        content = serialization.msgpack_serialize(arrays)
    if len(content) > MAX_BYTES:
        raise InputError(f"{source}: {len(content)} bytes, over {MAX_BYTES}: too large for the package")
    path = _folder(folder) / f"{name}.msgpack"
    with atomic_write(path) as stream:
        stream.write(content)
    write_json(path.with_suffix(".json"), info)
    write_checksum(path)
    return path
