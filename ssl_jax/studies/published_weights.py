"""The published checkpoints (PyTorch) of the three-branch network, read into ours."""

import pickle
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from ssl_jax.common.errors import InputError, error_reason
from ssl_jax.common.files import check_size, require_file
from ssl_jax.config import FrontEnd
from ssl_jax.networks.registry import build_model
from ssl_jax.networks.three_branch import ThreeBranch

# of a file, packed and unpacked: weights take 0.5 MB, with the optimiser's state 1.5 MB
MAX_WEIGHTS_BYTES = 2**26
NPZ_PREFIX = "weights_"  # of .npz files that hold a checkpoint


def published_variables(model: ThreeBranch) -> Iterator[tuple[str, Any]]:
    """Every array of the network with its name in the published (PyTorch) checkpoints.

    PyTorch keeps the axes of each in the reverse order: Linear (out, in), Conv1d (out, in, kernel).
    """
    for number, branch in enumerate(model.branches):
        prefix = f"cue_branches.{number}"
        layers = f"{prefix}.conv_net.conv"
        yield from _convolution(f"{layers}.0", branch.conv1)
        yield from _batch_norm(f"{layers}.1", branch.norm1)
        yield from _convolution(f"{layers}.3", branch.conv2)
        yield from _batch_norm(f"{layers}.4", branch.norm2)
        yield from _linear(f"{prefix}.attn_pool.attn_score", branch.score)
    yield "cross_attn.in_proj_weight", model.attention.qkv.kernel
    yield "cross_attn.in_proj_bias", model.attention.qkv.bias
    yield from _linear("cross_attn.out_proj", model.attention.out)
    yield "norm.weight", model.norm.scale
    yield "norm.bias", model.norm.bias
    yield from _linear("fc", model.classify)


def _linear(name: str, layer) -> Iterator[tuple[str, Any]]:
    yield f"{name}.weight", layer.kernel
    yield f"{name}.bias", layer.bias


_convolution = _linear  # PyTorch calls their arrays the same


def _batch_norm(name: str, layer) -> Iterator[tuple[str, Any]]:
    yield f"{name}.weight", layer.scale
    yield f"{name}.bias", layer.bias
    yield f"{name}.running_mean", layer.mean
    yield f"{name}.running_var", layer.var


def check_archive(path: Path) -> None:
    """Raise InputError unless a file is a ZIP archive, as .npz and .pth are, of bounded size."""
    require_file(path)
    check_size(path, MAX_WEIGHTS_BYTES)
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except Exception as error:  # corrupt bytes can raise almost any exception in zipfile
        raise _damaged(path, error) from None
    if sum(member.file_size for member in members) > MAX_WEIGHTS_BYTES:
        raise _damaged(path, f"over {MAX_WEIGHTS_BYTES >> 20} MiB")
    # other methods may unpack a few bytes into any number before zipfile looks at the size
    usual = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
    if any(member.compress_type not in usual for member in members):
        raise _damaged(path, "packed otherwise than NumPy and PyTorch do")


def _damaged(path: Path, reason: Exception | str) -> InputError:
    text = error_reason(reason)[:100]
    return InputError(f"{path}: not a whole {path.suffix} file ({text}): fetch it again")


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an .npz file; raises InputError if it is not one, or is too large."""
    check_archive(path)
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except Exception as error:  # corrupt bytes can raise almost any exception in NumPy
        raise _damaged(path, error) from None


def read_pth(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a PyTorch checkpoint: a dict of tensors, or one under "model_state_dict".

    Raises
    ------
    InputError
        Without PyTorch, and for a file that is damaged, too large or holds something else.
    """
    try:
        import torch
    except ImportError:
        raise InputError(f"{path}: reading it needs PyTorch: pip install torch") from None
    check_archive(path)
    try:
        content = torch.load(path, weights_only=True, map_location="cpu")
        if isinstance(content, Mapping):
            content = content.get("model_state_dict", content)
        arrays = {}
        if isinstance(content, Mapping):
            for name, value in content.items():
                if isinstance(value, torch.Tensor):
                    arrays[str(name)] = value.detach().numpy()
    except pickle.UnpicklingError:  # its text tells how to load such a file all the same: no
        raise InputError(
            f"{path}: holds more than tensors, or is damaged: give a checkpoint of weights alone"
        ) from None
    except Exception as error:  # corrupt bytes can raise almost any exception in PyTorch
        raise _damaged(path, error) from None
    if not arrays:
        raise InputError(f"{path}: holds no dict of tensors: give a checkpoint of the network")
    return arrays


def load_published(weights: str | Path | Mapping[str, np.ndarray]) -> ThreeBranch:
    """The three-branch network with published weights, in evaluation mode.

    Parameters
    ----------
    weights : a .pth or .npz file, or arrays by name
        In PyTorch's names and layouts, see `published_variables`. Others are passed over.

    Raises
    ------
    InputError
        Where an array is missing, of another shape or not finite; as `read_pth` and `read_npz`.
    """
    if isinstance(weights, Mapping):
        source, arrays = "weights", weights
    else:
        path = Path(weights)
        source = str(path)
        arrays = read_pth(path) if path.suffix == ".pth" else read_npz(path)
    model: Any = build_model("three_branch", 0, FrontEnd())
    for name, variable in published_variables(model):
        shape = variable[...].shape[::-1]
        variable[...] = jnp.asarray(_checked(source, arrays, name, shape).T, jnp.float32)
    model.eval()
    return model


def _checked(source: str, arrays: Mapping, name: str, shape: tuple[int, ...]) -> np.ndarray:
    if name not in arrays:
        raise InputError(f"{source}: {name} is missing: these are not of the three-branch network")
    array = np.asarray(arrays[name])
    if array.shape != shape:
        raise InputError(f"{source}: {name} has shape {array.shape}, the network needs {shape}")
    if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
        raise InputError(f"{source}: {name} holds something else than finite numbers")
    return array


def checkpoint_files(folder: Path) -> dict[str, Path]:
    """The checkpoints below a folder, by name: PATH.pth is PATH, weights_NAME.npz is NAME.

    Raises
    ------
    InputError
        Where there is none, or no such folder.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder: check the path")
    files = {}
    for path in sorted(folder.rglob("*.pth")):
        files[path.relative_to(folder).with_suffix("").as_posix()] = path
    for path in sorted(folder.glob(f"{NPZ_PREFIX}*.npz")):
        files[path.stem.removeprefix(NPZ_PREFIX)] = path
    if not files:
        raise InputError(
            f"{folder}: holds no *.pth: give a clone of the reproduced repository, or a folder of "
            "its checkpoints"
        )
    return files


def load_checkpoints(folder: Path) -> dict[str, ThreeBranch]:
    """The networks of all checkpoints below a folder, by the names of `checkpoint_files`."""
    return {name: load_published(path) for name, path in checkpoint_files(Path(folder)).items()}
