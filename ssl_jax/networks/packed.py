"""Trained networks of the package, data/weights/NAME.safetensors: arrays, and in the header what they are."""

import hashlib
import json
from pathlib import Path

import numpy as np
from flax import nnx
from safetensors import numpy as safetensors

from ssl_jax.common import files
from ssl_jax.common.errors import InputError, error_reason
from ssl_jax.config import FrontEnd
from ssl_jax.networks.registry import build_model
from ssl_jax.networks.serialisation import from_named, split, unpack

REINSTALL = "install the package again"
FORMAT = 1  # of the notes; a file of a higher one was made by a newer version
MAX_PACKED_BYTES, MAX_HEADER_BYTES = 2_000_000, 2**16
PREFERRED = (
    "general",
    "freefield",
    "baseline",
)  # the first of these that is there is used unless one is named
MAX_CHANNELS = 1024  # so that damaged settings do not ask for a network of any size
DTYPES = {"float16", "float32", "uint32"}  # the last are the keys and counts of dropout
NEEDED = (
    "model",
    "front",
    "protocol",
    "corpus",
    "seed",
    "commit",
    "metrics",
)  # of the notes, OTHERS may be
OTHERS = (
    "name",
    "run",
    "mixtures_evaluated",
    "by_snr",
    "error_by_azimuth",
    "temperature",
    "reliability",
)


def _folder(folder: Path | None) -> Path:
    return files.package_data("weights") if folder is None else Path(folder)


def available(folder: Path | None = None) -> list[str]:
    """Names of the networks there are, sorted; `folder` is the package's own unless given."""
    return sorted(path.stem for path in _folder(folder).glob("*.safetensors"))


def default_weights(folder: Path | None = None) -> str:
    """The network to use where none is named; raises InputError when there is none."""
    if not (names := available(folder)):
        raise InputError(f"{_folder(folder)}: no weights: {REINSTALL}")
    return next((name for name in PREFERRED if name in names), names[0])


def _digest(info: dict, arrays: dict) -> str:
    """SHA-256 of the notes and of the arrays' bytes in the order of their names."""
    content = [
        json.dumps(info, sort_keys=True).encode(),
        *(a.tobytes() for _, a in sorted(arrays.items())),
    ]
    return hashlib.sha256(b"".join(content)).hexdigest()


def as_bytes(info: dict, arrays: dict) -> bytes:
    """A safetensors file. All notes are one string of its metadata: of several the order would vary."""
    notes = {"format": FORMAT, "sha256": _digest(info, arrays), **info}
    return safetensors.save(arrays, {"ssl_jax": json.dumps(notes)})


def _parsed(source: str | Path, content: bytes) -> tuple[dict, dict]:
    """Notes and arrays of a safetensors file; raises InputError, about `source`, unless all is well."""
    remedy = REINSTALL
    try:
        end = 8 + int.from_bytes(content[:8], "little")
        info = json.loads(
            json.loads(content[8 : min(end, MAX_HEADER_BYTES)])["__metadata__"]["ssl_jax"]
        )
        if info.pop("format") > FORMAT:
            remedy = "upgrade ssl_jax"
            raise ValueError("made by a newer version")
        digest, arrays = info.pop("sha256"), safetensors.load(content)
        if wrong := [k for k in (*NEEDED, *info) if k not in info or k not in NEEDED + OTHERS]:
            raise ValueError(f"field {wrong[0][:40]!r} is missing or unknown")
        if digest != _digest(info, arrays) or {a.dtype.name for a in arrays.values()} - DTYPES:
            raise ValueError("arrays of another checksum or kind")
    except (
        Exception
    ) as error:  # corrupt bytes can raise almost any exception in JSON, safetensors or NumPy
        raise InputError(
            f"{source}: cannot be used ({error_reason(error)[:100]}): {remedy}"
        ) from None
    return info, arrays


def _read(name: str, folder: Path | None) -> tuple[Path, dict, dict]:
    if name not in (names := available(folder)):
        known = ", ".join(names) or "(none are installed)"
        raise InputError(f"model {name!r}: there is none of that name: use one of {known}")
    path = _folder(folder) / f"{name}.safetensors"
    files.check_size(path, MAX_PACKED_BYTES)
    return path, *_parsed(path, path.read_bytes())


def describe(name: str, folder: Path | None = None) -> dict:
    """What a file says of its network; raises InputError when it is missing, damaged or newer than we are."""
    return _read(name, folder)[1]


def _filled(name: str, front: FrontEnd, arrays: dict) -> nnx.Module:
    """A network with these arrays in it; raises InputError for one that does not fit."""
    graph, weights, rest = split(
        nnx.eval_shape(lambda: build_model(name, 0, front))
    )  # drawing takes 3 s
    return nnx.merge(
        graph, from_named("weights", weights, arrays), from_named("rest", rest, arrays)
    )


def load_weights(name: str, folder: Path | None = None) -> tuple[nnx.Module, FrontEnd]:
    """A trained network, in evaluation mode, and its front-end; raises InputError as `describe` does."""
    path, info, arrays = _read(name, folder)
    try:
        front = FrontEnd(**info["front"])
        for field, usual in vars(FrontEnd()).items():
            value, kind = getattr(front, field), type(usual)
            if type(value) not in (int, kind) or (
                kind not in (str, bool) and not 0 < value < np.inf
            ):
                raise ValueError(f"front.{field} is {value!r}")
        if front.channels > MAX_CHANNELS:
            raise ValueError(f"front.channels is {front.channels}")
        model = _filled(info["model"], front, _converted(arrays, "", np.float16, np.float32))
    except (AttributeError, TypeError, ValueError) as error:
        raise InputError(f"{path}: does not fit this version ({error}): {REINSTALL}") from None
    except InputError as error:
        raise InputError(f"{path}: not of the network {info['model']!r} ({error})") from None
    model.eval()
    return model, front


def temperature_of(name: str, folder: Path | None = None) -> float:
    """What the network's logits are divided by, so that its confidence holds; 1 if not calibrated."""
    temperature = describe(name, folder).get("temperature", 1.0)
    if not (isinstance(temperature, (int, float)) and 0.01 < temperature < 100):
        raise InputError(
            f"{_folder(folder) / name}.safetensors: temperature is {temperature!r}: {REINSTALL}"
        )
    return float(temperature)


def _converted(arrays: dict, prefix: str, old, new) -> dict:
    return {
        k: a.astype(new) if k.startswith(prefix) and a.dtype == old else a
        for k, a in arrays.items()
    }


def pack(source: Path, name: str, info: dict, folder: Path | None = None) -> Path:
    """Put weights, results/NAME/RUN_epochK.msgpack, and `info` into the package: its path, or InputError."""
    info = {"name": name} | info
    _parsed(f"weights {name}", as_bytes(info, {}))  # refuses what would not be read again
    arrays = {k: np.asarray(a) for k, a in sorted(unpack(Path(source), "train it again").items())}
    _filled(info["model"], FrontEnd(**info["front"]), arrays)  # refuses what does not fit
    content = as_bytes(info, arrays)
    if (
        len(content) > MAX_PACKED_BYTES
    ):  # weights in half precision; batch statistics stay as they are
        content = as_bytes(info, _converted(arrays, "weights", np.float32, np.float16))
    if len(content) > MAX_PACKED_BYTES:
        raise InputError(f"{source}: over {MAX_PACKED_BYTES} bytes: too large for the package")
    path = _folder(folder) / f"{name}.safetensors"
    with files.atomic_write(path) as stream:
        stream.write(content)
    return path
