"""The published checkpoints (PyTorch) of the three-branch network, read into ours."""

import math
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from ssl_jax.common.errors import InputError, error_reason
from ssl_jax.common.files import require_file
from ssl_jax.config import FrontEnd
from ssl_jax.networks.registry import build_model
from ssl_jax.networks.three_branch import ThreeBranch

MAX_WEIGHTS_BYTES = 2**26  # of all arrays in a file; the network's take half a million


def published_variables(model: ThreeBranch) -> Iterator[tuple[str, Any]]:
    """Every array of the network with its name in the published (PyTorch) checkpoints. PyTorch keeps the axes
    of each in the reverse order: Linear (out, in), Conv1d (out, in, kernel).
    """

    def weight_and_bias(name, weight, bias):
        return (f"{name}.weight", weight), (f"{name}.bias", bias)

    for i, branch in enumerate(model.branches):
        layers = f"cue_branches.{i}.conv_net.conv"
        for conv, norm, at in ((branch.conv1, branch.norm1, 0), (branch.conv2, branch.norm2, 3)):
            yield from weight_and_bias(f"{layers}.{at}", conv.kernel, conv.bias)
            yield from weight_and_bias(f"{layers}.{at + 1}", norm.scale, norm.bias)
            yield f"{layers}.{at + 1}.running_mean", norm.mean
            yield f"{layers}.{at + 1}.running_var", norm.var
        score = branch.score
        yield from weight_and_bias(
            f"cue_branches.{i}.attn_pool.attn_score", score.kernel, score.bias
        )
    qkv, out = model.attention.qkv, model.attention.out
    yield from (("cross_attn.in_proj_weight", qkv.kernel), ("cross_attn.in_proj_bias", qkv.bias))
    yield from weight_and_bias("cross_attn.out_proj", out.kernel, out.bias)
    yield from weight_and_bias("norm", model.norm.scale, model.norm.bias)
    yield from weight_and_bias("fc", model.classify.kernel, model.classify.bias)


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an .npz file; raises InputError if it is not one, or declares too much."""
    require_file(path)
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    arrays, total = {}, 0
    try:
        with zipfile.ZipFile(path) as pack:
            for info in pack.infolist():
                if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise ValueError(f"{info.filename[:60]!r} is packed otherwise than NumPy does")
                total += info.file_size
                if total > MAX_WEIGHTS_BYTES:
                    raise ValueError(f"over {MAX_WEIGHTS_BYTES >> 20} MiB")
                with pack.open(info) as stream:
                    shape, _, dtype = readers[np.lib.format.read_magic(stream)](stream)
                if (
                    math.prod(shape) * dtype.itemsize > info.file_size
                ):  # NumPy would make room for it
                    raise ValueError(f"{info.filename[:60]!r} is cut short")
                with pack.open(info) as stream:
                    array = np.lib.format.read_array(stream, allow_pickle=False)
                arrays[info.filename.removesuffix(".npy")] = array
    except Exception as error:  # corrupt bytes can raise almost any exception in zipfile or NumPy
        raise InputError(
            f"{path}: not a whole .npz file ({error_reason(error)}): fetch it again"
        ) from None
    return arrays


def load_published(weights: str | Path | Mapping[str, np.ndarray]) -> ThreeBranch:
    """The three-branch network, in evaluation mode, with a mapping of arrays or those of an .npz file, in
    PyTorch's names and layouts (see `published_variables`); others are passed over. Raises InputError, which
    names the array, where one is missing, of another shape or not finite.
    """
    where, held = (
        ("weights", weights) if isinstance(weights, Mapping) else (weights, read_npz(Path(weights)))
    )
    model: Any = build_model("three_branch", 0, FrontEnd())
    for name, variable in published_variables(model):
        if name not in held:
            raise InputError(
                f"{where}: {name} is missing: these are not of the three-branch network"
            )
        array, shape = np.asarray(held[name]), variable[...].shape[::-1]
        if array.shape != shape:
            raise InputError(f"{where}: {name} has shape {array.shape}, the network needs {shape}")
        if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
            raise InputError(f"{where}: {name} holds something else than finite numbers")
        variable[...] = jnp.asarray(array.T, jnp.float32)
    model.eval()
    return model


def load_checkpoints(folder: Path) -> dict[str, ThreeBranch]:
    """Every checkpoint of a folder, weights_NAME.npz, by name; raises InputError where there is none."""
    paths = sorted(Path(folder).glob("weights_*.npz"))
    if not paths:
        raise InputError(
            f"{folder}: holds no weights_*.npz: give the folder of the published checkpoints"
        )
    return {path.stem.removeprefix("weights_"): load_published(path) for path in paths}
