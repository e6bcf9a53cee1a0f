"""Trees of weights and optimiser states as named arrays, and the msgpack files that hold them."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx, serialization

from ssl_jax.common.errors import InputError, error_reason
from ssl_jax.common.files import check_size

MAX_BYTES = (
    2**25
)  # of a file, unpacked in memory; the largest network's checkpoints have 20 million


def split(model: nnx.Module) -> tuple[nnx.GraphDef, nnx.State, nnx.State]:
    """A network's structure, its weights, and the rest: running statistics and the state of its dropout."""
    return nnx.split(model, nnx.Param, ...)  # type: ignore[return-value]


def _is_key(leaf) -> bool:
    return jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _names(prefix: str, tree) -> list[str]:
    paths = jax.tree.leaves_with_path(tree)
    return [
        f"{prefix}.{jax.tree_util.keystr(path, simple=True, separator='.')}" for path, _ in paths
    ]


def named_arrays(prefix: str, tree) -> dict[str, np.ndarray]:
    """The leaves of a tree by their path, as NumPy arrays."""
    leaves = (jax.random.key_data(l) if _is_key(l) else l for l in jax.tree.leaves(tree))
    return dict(zip(_names(prefix, tree), (np.asarray(l) for l in leaves), strict=True))


def from_named(prefix: str, like, arrays: dict):
    """The opposite of `named_arrays`: a tree like `like`; raises InputError for what does not fit."""
    leaves = []
    for name, old in zip(_names(prefix, like), jax.tree.leaves(like), strict=True):
        form = jax.eval_shape(jax.random.key_data, old) if _is_key(old) else old
        new = arrays.get(name)
        if not isinstance(new, np.ndarray) or new.shape != form.shape or new.dtype != form.dtype:
            raise InputError(f"{name} is missing or of another shape")
        leaves.append(
            jax.random.wrap_key_data(jnp.asarray(new)) if _is_key(old) else jnp.asarray(new)
        )
    return jax.tree.unflatten(jax.tree.structure(like), leaves)


def unpack(path: Path, remedy: str) -> dict:
    """The entries of a msgpack file by name; raises InputError if it is not one."""
    check_size(path, MAX_BYTES)
    content = path.read_bytes()
    try:
        content = serialization.msgpack_restore(content)
    except (
        Exception
    ) as error:  # corrupt bytes can raise almost any exception in msgpack, Flax or NumPy
        raise InputError(
            f"{path}: not a readable msgpack file ({error_reason(error)}): {remedy}"
        ) from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: holds no arrays by name: {remedy}")
    return content
