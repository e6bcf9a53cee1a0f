"""Trained networks of the package: data/weights/NAME.safetensors, arrays and what they are."""

from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from flax import nnx

from ssl_jax.common import files
from ssl_jax.common.errors import InputError
from ssl_jax.config import FrontEnd
from ssl_jax.frontend.streaming import start_cues
from ssl_jax.networks.array_file import ArrayFile, read_arrays, to_bytes, write_arrays
from ssl_jax.networks.registry import build_model
from ssl_jax.networks.serialisation import from_named, split
from ssl_jax.sounds.reading import RATES

REINSTALL = "install the package again"
ENDING = ".safetensors"
# the package stays small; weights over it are stored in half precision
MAX_PACKED_BYTES = 3_000_000
# damaged settings must not ask for a network of any size
MAX_CHANNELS = 1024
# the first of these that is there is used unless one is named: the best on recordings
PREFERRED = ("general", "freefield", "baseline")
NEEDED_NOTES = ("model", "front", "protocol", "corpus", "seed", "commit", "metrics")
OTHER_NOTES = (
    "name",
    "run",
    "mixtures_evaluated",
    "by_snr",
    "error_by_azimuth",
    "temperature",
    "reliability",
    "front_scores",
)
# a softmax at temperatures beyond these says nothing
LOWEST_TEMPERATURE = 0.01
HIGHEST_TEMPERATURE = 100


def _folder(folder: Path | None) -> Path:
    """The folder of the networks: the package's own unless another is given."""
    return files.package_data("weights") if folder is None else Path(folder)


def is_own_file(name: str) -> bool:
    """Is a name FILE.safetensors, a file of one's own, and no network of the package?"""
    return str(name).endswith(ENDING)


def path_of(name: str, folder: Path | None = None) -> Path:
    """The file of a network of that name."""
    return Path(name) if is_own_file(name) else _folder(folder) / f"{name}{ENDING}"


def _remedy(name: str) -> str:
    """What to do about a file that does not hold what it should."""
    return "pack it again" if is_own_file(name) else REINSTALL


def available(folder: Path | None = None) -> list[str]:
    """Names of the networks there are, sorted; `folder` is the package's own unless given."""
    return sorted(path.stem for path in _folder(folder).glob("*.safetensors"))


def default_weights(folder: Path | None = None) -> str:
    """The network to use where none is named; raises InputError when there is none."""
    names = available(folder)
    if not names:
        raise InputError(f"{_folder(folder)}: no weights: {REINSTALL}")
    for name in PREFERRED:
        if name in names:
            return name
    return names[0]


def _check_fields(source: str | Path, notes: dict, remedy: str) -> None:
    """Raise InputError, about `source`, for notes that lack a field or have an unknown one."""
    missing = [field for field in NEEDED_NOTES if field not in notes]
    unknown = [field for field in notes if field not in NEEDED_NOTES + OTHER_NOTES]
    if missing:
        raise InputError(f"{source}: field {missing[0]!r} is missing: {remedy}")
    if unknown:
        raise InputError(f"{source}: field {unknown[0][:40]!r} is unknown: {remedy}")


def _read(name: str, folder: Path | None) -> ArrayFile:
    """The file of a network; raises InputError as `describe` does."""
    names = available(folder)
    if name not in names and not is_own_file(name):
        known = ", ".join(names) or "(none are installed)"
        raise InputError(
            f"model {name!r}: there is none of that name: use one of {known}, "
            f"or a file of your own that ends in {ENDING}"
        )
    path = path_of(name, folder)
    if is_own_file(name):
        files.require_file(path)
    remedy = _remedy(name)
    content = read_arrays(path, remedy, MAX_PACKED_BYTES)
    _check_fields(path, content.notes, remedy)
    return content


def describe(name: str, folder: Path | None = None) -> dict:
    """The notes of a network: architecture, front-end, protocol, scores.

    Raises
    ------
    InputError
        If its file is missing, damaged or newer than this version.
    """
    return _read(name, folder).notes


def _front_end(settings: dict) -> FrontEnd:
    """A front-end of noted settings; raises TypeError or ValueError for impossible ones."""
    front = FrontEnd(**settings)
    for field, usual in vars(FrontEnd()).items():
        value = getattr(front, field)
        # a whole number may stand for a float
        kinds = (int, float) if type(usual) is float else (type(usual),)
        is_number = type(usual) in (int, float)
        if type(value) not in kinds or (is_number and not 0 < value < np.inf):
            raise ValueError(f"front.{field} is {value!r}")
    if front.channels > MAX_CHANNELS:
        raise ValueError(f"front.channels is {front.channels}")
    lowest, highest = RATES
    if not lowest <= front.fs <= highest or front.hop > front.fs:
        raise ValueError(f"front.fs is {front.fs}, front.hop is {front.hop}")
    # ValueError for what the front-end refuses
    start_cues(**front.arguments())
    return front


def _network_of(model: str, front: FrontEnd, arrays: dict) -> nnx.Module:
    """A network with these arrays in it; raises InputError for one that does not fit."""
    # shapes alone: drawing initial weights takes 3 s
    # JAX may be set to draw in float64; the networks are stored in float32
    with jax.enable_x64(new_val=False):
        shapes = nnx.eval_shape(lambda: build_model(model, 0, front))
    graph, weights, rest = split(shapes)
    weights = from_named("weights", weights, arrays)
    rest = from_named("rest", rest, arrays)
    return nnx.merge(graph, weights, rest)


def _converted(array: np.ndarray, old: type, new: type) -> np.ndarray:
    """The array as `new` where it is of the kind `old`, else as it is."""
    return array.astype(new) if array.dtype == old else array


class LoadedNetwork(NamedTuple):
    """A trained network, in evaluation mode, and what its cue maps come from."""

    network: nnx.Module
    front: FrontEnd


def load_weights(name: str, folder: Path | None = None) -> LoadedNetwork:
    """Load a trained network.

    Raises
    ------
    InputError
        As `describe` does, and where the arrays are not of the network that the notes name.
    """
    content = _read(name, folder)
    notes = content.notes
    path = path_of(name, folder)
    arrays = {k: _converted(a, np.float16, np.float32) for k, a in content.arrays.items()}
    try:
        front = _front_end(notes["front"])
        network = _network_of(notes["model"], front, arrays)
    except InputError as error:
        wrong = f"not of the network {notes['model']!r} ({error})"
        raise InputError(f"{path}: {wrong}: {_remedy(name)}") from None
    except (AttributeError, TypeError, ValueError) as error:
        wrong = f"does not fit this version ({error})"
        raise InputError(f"{path}: {wrong}: {_remedy(name)}") from None
    network.eval()
    return LoadedNetwork(network, front)


def temperature_of(name: str, folder: Path | None = None) -> float:
    """The number that logits are divided by to calibrate the confidence; 1 if not calibrated."""
    temperature = describe(name, folder).get("temperature", 1.0)
    is_number = isinstance(temperature, (int, float))
    if not is_number or not LOWEST_TEMPERATURE < temperature < HIGHEST_TEMPERATURE:
        path = path_of(name, folder)
        raise InputError(f"{path}: temperature is {temperature!r}: {_remedy(name)}")
    return float(temperature)


def _in_half_precision(content: ArrayFile) -> ArrayFile:
    """The same with float16 weights; batch statistics stay as they are."""
    arrays = {}
    for name, array in content.arrays.items():
        is_weight = name.startswith("weights")
        arrays[name] = _converted(array, np.float32, np.float16) if is_weight else array
    return ArrayFile(content.notes, arrays)


def pack(source: Path, name: str, notes: dict, folder: Path | None = None) -> Path:
    """Put the last weights of a run into the package.

    Parameters
    ----------
    source : Path
        The weights: results/NAME/RUN_epochK.safetensors.
    name : str
        Name of the packed network, or FILE.safetensors for a file of one's own.
    notes : dict
        What they are: all of NEEDED_NOTES, and any of OTHER_NOTES.
    folder : Path, optional
        Where to put them, if not into the package.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InputError
        If the weights cannot be read, are not of the network that `notes` name, or are too large.
    """
    notes = {"name": Path(name).name.removesuffix(ENDING), **notes}
    _check_fields(f"weights {name}", notes, "mend the notes")
    weights = read_arrays(Path(source), "train it again").arrays
    try:
        _network_of(notes["model"], FrontEnd(**notes["front"]), weights)
    except InputError as error:
        wrong = f"not of the network {notes['model']!r} ({error})"
        raise InputError(f"{source}: {wrong}: train it again") from None
    content = ArrayFile(notes, weights)
    if len(to_bytes(content)) > MAX_PACKED_BYTES:
        content = _in_half_precision(content)
    path = path_of(name, folder)
    write_arrays(path, content, MAX_PACKED_BYTES)
    return path
