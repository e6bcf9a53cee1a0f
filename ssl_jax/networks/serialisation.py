"""Trees of weights and optimiser states as arrays by name, and back."""

from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from ssl_jax.common.errors import InputError

Tree = TypeVar("Tree")


def split(model: nnx.Module) -> tuple[nnx.GraphDef, nnx.State, nnx.State]:
    """A network's structure, its weights, and the rest: running statistics and dropout's state."""
    return nnx.split(model, nnx.Param, ...)  # type: ignore[return-value]


def _is_key(leaf) -> bool:
    """Is it a random key, whose numbers NumPy cannot hold as they are?"""
    return jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _leaf_names(prefix: str, tree) -> list[str]:
    """The path of every leaf, as PREFIX.a.b.0."""
    names = []
    for path, _ in jax.tree.leaves_with_path(tree):
        names.append(f"{prefix}.{jax.tree_util.keystr(path, simple=True, separator='.')}")
    return names


def named_arrays(prefix: str, tree) -> dict[str, np.ndarray]:
    """The leaves of a tree by their path, as NumPy arrays; keys as the numbers in them."""
    arrays = {}
    for name, leaf in zip(_leaf_names(prefix, tree), jax.tree.leaves(tree), strict=True):
        arrays[name] = np.asarray(jax.random.key_data(leaf) if _is_key(leaf) else leaf)
    return arrays


def from_named(prefix: str, like: Tree, arrays: dict) -> Tree:
    """The opposite of `named_arrays`: a tree like `like`, whose leaves may be shapes alone.

    Raises
    ------
    InputError
        If an array is missing or of another shape or kind; the message names it.
    """
    leaves = []
    for name, old in zip(_leaf_names(prefix, like), jax.tree.leaves(like), strict=True):
        form = jax.eval_shape(jax.random.key_data, old) if _is_key(old) else old
        new = arrays.get(name)
        if not isinstance(new, np.ndarray) or new.shape != form.shape or new.dtype != form.dtype:
            raise InputError(f"{name} is missing or of another shape")
        leaf = jnp.asarray(new)
        leaves.append(jax.random.wrap_key_data(leaf) if _is_key(old) else leaf)
    return jax.tree.unflatten(jax.tree.structure(like), leaves)
