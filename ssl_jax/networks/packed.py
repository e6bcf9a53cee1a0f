"""Trained networks of the package, in data/weights: NAME.msgpack (arrays), .json (what they are), .sha256."""

import dataclasses
from pathlib import Path

import numpy as np
from flax import nnx, serialization

from ssl_jax.common import files
from ssl_jax.common.errors import InputError
from ssl_jax.config import FrontEnd
from ssl_jax.networks.registry import build_model
from ssl_jax.networks.serialisation import from_named, unpack

REINSTALL = "install the package again"
MAX_PACKED_BYTES = 2_000_000
PREFERRED = ("recordings", "clean", "model2")  # the first of these that is there is used unless one is named
MAX_CHANNELS = 1024  # so that damaged settings do not ask for a network of any size
FIELDS = ("model", "front", "protocol", "corpus", "seed", "commit", "metrics")  # of NAME.json


def _folder(folder: Path | None) -> Path:
    return files.package_data("weights") if folder is None else Path(folder)


def available(folder: Path | None = None) -> list[str]:
    """Names of the networks there are, sorted; `folder` is the package's own unless given."""
    return sorted(path.stem for path in _folder(folder).glob("*.msgpack"))


def default_weights(folder: Path | None = None) -> str:
    """The network to use where none is named; raises InputError when there is none."""
    names = available(folder)
    if not names:
        raise InputError(f"{_folder(folder)}: no weights: {REINSTALL}")
    return next((name for name in PREFERRED if name in names), names[0])


def describe(name: str, folder: Path | None = None) -> dict:
    """What NAME.json says of a network; raises InputError when it or the weights are missing or damaged."""
    if name not in (names := available(folder)):
        known = ", ".join(names) or "(none are installed)"
        raise InputError(f"model {name!r}: there is none of that name: use one of {known}")
    path = _folder(folder) / f"{name}.msgpack"
    if not files.checksum_agrees(path):
        raise InputError(f"{path}: damaged, or without its checksum: {REINSTALL}")
    path = path.with_suffix(".json")
    info = files.read_json(path)
    for field in FIELDS:
        if not isinstance(info, dict) or field not in info:
            raise InputError(f"{path}: no field {field!r}: {REINSTALL}")
    return info


def load_weights(name: str, folder: Path | None = None) -> tuple[nnx.Module, FrontEnd]:
    """A trained network, in evaluation mode, and its front-end; raises InputError as `describe` does."""
    info = describe(name, folder)
    path = _folder(folder) / f"{name}.msgpack"
    try:
        front = FrontEnd(**info["front"])
        for field in dataclasses.fields(FrontEnd):
            value = getattr(front, field.name)
            number = field.type not in (str, bool)
            if not isinstance(value, (int, field.type)) or (number and not 0 < value < np.inf):
                raise ValueError(f"front.{field.name} is {value!r}")
        if front.channels > MAX_CHANNELS:
            raise ValueError(f"front.channels is {front.channels}")
        model = nnx.eval_shape(lambda: build_model(info["model"], 0, front))  # drawing weights takes 3 s
        arrays = _converted(unpack(path, REINSTALL), "", np.float16, np.float32)
    except (AttributeError, TypeError, ValueError) as error:
        raise InputError(f"{path}: does not fit this version ({error}): {REINSTALL}") from None
    graph, weights, rest = nnx.split(model, nnx.Param, ...)
    try:
        model = nnx.merge(graph, from_named("weights", weights, arrays), from_named("rest", rest, arrays))
    except InputError as error:
        raise InputError(f"{path}: not of the network {info['model']!r} ({error})") from None
    model.eval()
    return model, front


def temperature_of(name: str, folder: Path | None = None) -> float:
    """What the network's logits are divided by, so that its confidence holds; 1 if not calibrated."""
    temperature = describe(name, folder).get("temperature", 1.0)
    if not (isinstance(temperature, (int, float)) and 0.01 < temperature < 100):
        raise InputError(f"{_folder(folder) / name}.json: temperature is {temperature!r}: {REINSTALL}")
    return float(temperature)


def _converted(arrays: dict, prefix: str, old, new) -> dict:
    """The arrays with those of a name that begins so, and of dtype `old`, in dtype `new`."""
    return {k: a.astype(new) if k.startswith(prefix) and a.dtype == old else a for k, a in arrays.items()}


def pack(source: Path, name: str, info: dict, folder: Path | None = None) -> Path:
    """Put trained weights, results/NAME/RUN_epochK.msgpack, and `info` into the package: the new path. Raises
    InputError where one of FIELDS is missing, or the weights do not fit the network or are too large."""
    for field in FIELDS:
        if field not in info:
            raise InputError(f"weights {name}: {field!r} is not given: needed are {', '.join(FIELDS)}")
    arrays = {k: np.asarray(a) for k, a in sorted(unpack(Path(source), "train it again").items())}
    model = nnx.eval_shape(lambda: build_model(info["model"], 0, FrontEnd(**info["front"])))
    _, weights, rest = nnx.split(model, nnx.Param, ...)
    for prefix, tree in (("weights", weights), ("rest", rest)):
        from_named(prefix, tree, arrays)  # refuses what does not fit
    content = serialization.msgpack_serialize(arrays)
    if len(content) > MAX_PACKED_BYTES:  # weights in half precision; batch statistics stay as they are
        content = serialization.msgpack_serialize(_converted(arrays, "weights", np.float32, np.float16))
    if len(content) > MAX_PACKED_BYTES:
        raise InputError(f"{source}: over {MAX_PACKED_BYTES} bytes: too large for the package")
    path = _folder(folder) / f"{name}.msgpack"
    with files.atomic_write(path) as stream:
        stream.write(content)
    files.write_json(path.with_suffix(".json"), {"name": name, **info})
    files.write_checksum(path)
    return path
