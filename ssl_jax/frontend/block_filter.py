"""Runs a filterbank: blocks of samples by matrix products, states carried from block to block.

In shapes: C channels, B samples a block, S states a channel (block_design.py).
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

from ssl_jax.frontend.block_design import BLOCK, BlockFilter, block_filters, steady_states

# Samples filtered at a time by `filter_sound`: their outputs stay in the cache.
STRETCH = 8 * BLOCK

# Steps of the scan over blocks that are unrolled: all blocks of a stretch.
UNROLL = 8


def start_state(fs: float, cfs, filter_type: str, rows: int, dtype) -> jax.Array:
    """State of `rows` silent sounds, (rows, S, C)."""
    size, channels = steady_states(fs, cfs, filter_type).shape
    return jnp.zeros((rows, size, channels), dtype)


def filter_samples(
    banks: tuple[BlockFilter, ...], state: jax.Array, x: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Filter as many samples as the banks are designed for.

    Parameters
    ----------
    banks : `block_filters` for n samples
    state : (rows, S, C)
    x : (rows, n)

    Returns
    -------
    state, y : (rows, S, C) and (rows, n, C)
    """
    outputs = []
    for bank in banks:
        whole = x.shape[1] // bank.block * bank.block
        state, y = _filter_blocks(bank, state, x[:, :whole])
        outputs.append(y)
        x = x[:, whole:]
    if len(outputs) == 1:
        return state, outputs[0]
    return state, jnp.concatenate(outputs, axis=1)


def _product(x: jax.Array, y: jax.Array) -> jax.Array:
    """A matrix product in full float32: TF32 on a GPU would miss the 5e-5 tolerance."""
    return lax.dot(x, y, precision=lax.Precision.HIGHEST)


def _outputs_at_once(
    blocks: jax.Array, before: jax.Array, direct: jax.Array, observe: jax.Array
) -> jax.Array:
    """What blocks put out: the share of their own samples, and of the states before them.

    Parameters
    ----------
    blocks : (rows * count, B)
    before : (rows, count, S, C)
    direct, observe : (B, outputs, C), (S, outputs, C)
        As a `BlockFilter` has them, of all outputs or of some.

    Returns
    -------
    y : (rows, count, outputs, C)
    """
    rows, count, size, channels = before.shape
    samples, outputs, _ = direct.shape
    own = _product(blocks, direct.reshape(samples, outputs * channels))
    own = own.reshape(rows, count, outputs, channels)
    return own + sum(before[:, :, j][:, :, None] * observe[j] for j in range(size))


def _outputs_by_halves(
    blocks: jax.Array, before: jax.Array, direct: jax.Array, observe: jax.Array
) -> jax.Array:
    """`_outputs_at_once` without a quarter of the products: no output hears a later sample."""
    half = len(direct) // 2
    first = _outputs_at_once(blocks[:, :half], before, direct[:half, :half], observe[:, :half])
    second = _outputs_at_once(blocks, before, direct[:, half:], observe[:, half:])
    return jnp.concatenate([first, second], axis=2)


def _filter_blocks(
    bank: BlockFilter, state: jax.Array, x: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Filter a whole number of the bank's blocks.

    Parameters
    ----------
    state : (rows, S, C)
    x : (rows, blocks * B)

    Returns
    -------
    state, y : (rows, S, C) and (rows, blocks * B, C)
    """
    block, size, channels = bank.inject.shape
    rows, samples = x.shape
    direct = jnp.asarray(bank.direct, x.dtype)
    observe = jnp.asarray(bank.observe, x.dtype)
    inject = jnp.asarray(bank.inject.reshape(block, -1), x.dtype)
    advance = jnp.asarray(bank.advance, x.dtype)
    blocks = x.reshape(-1, block)  # rows * count, B
    injected = _product(blocks, inject).reshape(rows, -1, size, channels)

    def step(state, injected):
        return sum(advance[:, j] * state[:, j, None] for j in range(size)) + injected, state

    unroll = min(samples // block, UNROLL)
    state, before = lax.scan(step, state, injected.swapaxes(0, 1), unroll=unroll)
    before = before.swapaxes(0, 1)  # rows, count, S, C: states at the start of each block
    # a GPU takes longer to start a second product than the halves save
    y = lax.platform_dependent(
        blocks, before, direct, observe, cpu=_outputs_by_halves, default=_outputs_at_once
    )
    return state, y.reshape(rows, samples, channels)


@partial(jax.jit, static_argnames=("fs", "cfs", "filter_type"))
def filter_sound(
    x: jax.Array, fs: float, cfs: tuple[float, ...], filter_type: str, state: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Filter whole sounds.

    Parameters
    ----------
    x : (rows, samples)
    fs, cfs, filter_type
        Of the filterbank, frequencies in Hz.
    state : (rows, S, C)
        States before the first sample.

    Returns
    -------
    state, y : (rows, S, C) at the end, and (rows, C, samples)
    """
    rows, samples = x.shape
    whole = samples // STRETCH * STRETCH
    stretches = x[:, :whole].reshape(rows, -1, STRETCH).swapaxes(0, 1)
    bank = block_filters(fs, cfs, STRETCH, filter_type)[0]

    def filter_stretch(carry, item):
        state, y = carry
        start, stretch = item
        state, outputs = _filter_blocks(bank, state, stretch)
        # straight to its place: stacked outputs would be moved through memory once more
        y = lax.dynamic_update_slice_in_dim(y, outputs.swapaxes(1, 2), start, axis=2)
        return (state, y), None

    y = jnp.zeros((rows, len(cfs), samples), x.dtype)
    if whole:
        starts = jnp.arange(0, whole, STRETCH)
        (state, y), _ = lax.scan(filter_stretch, (state, y), (starts, stretches))
    if whole < samples:
        banks = block_filters(fs, cfs, samples - whole, filter_type)
        state, rest = filter_samples(banks, state, x[:, whole:])
        y = lax.dynamic_update_slice_in_dim(y, rest.swapaxes(1, 2), whole, axis=2)
    return state, y
