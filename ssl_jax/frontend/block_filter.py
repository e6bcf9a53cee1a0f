"""Runs a filterbank: blocks of samples by matrix products, states carried from block to block."""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

from ssl_jax.frontend.filter_design import BLOCK, BlockFilter, block_filters

STRETCH = 8 * BLOCK  # samples filtered at a time: their outputs stay in the cache


def start_state(fs: float, cfs, filter_type: str, rows: int, dtype):
    """State of `rows` silent sounds, (rows, S, C)."""
    return jnp.zeros((rows, *block_filters(fs, cfs, 1, filter_type)[0].steady.shape), dtype)


def filter_samples(banks: tuple[BlockFilter, ...], state, x):
    """Filter x (rows, n) by `block_filters` for n samples: the new state, and y (rows, n, C)."""
    pieces = []
    for bank in banks:
        use = x.shape[1] // len(bank.D) * len(bank.D)
        state, y = _filter_blocks(bank, state, x[:, :use])
        pieces.append(y)
        x = x[:, use:]
    return state, pieces[0] if len(pieces) == 1 else jnp.concatenate(pieces, axis=1)


def _filter_blocks(bank: BlockFilter, state, x, channels_first: bool = False):
    """`filter_samples` where x is a whole number of the bank's blocks. With `channels_first` y is (rows,
    blocks, C, B): a channel's output is put together of such runs three times as fast as of samples."""
    block, size, channels = bank.B.shape
    rows, count = x.shape[0], x.shape[1] // block
    order = (0, 2, 1) if channels_first else (0, 1, 2)  # of time and channel in a block's output
    direct, observe = bank.D.transpose(order).reshape(block, -1), bank.C.transpose(order)
    matrices = (direct, observe, bank.B.reshape(block, -1), bank.A)
    direct, observe, inject, advance = (jnp.asarray(m, x.dtype) for m in matrices)
    # full float32: TF32 on a GPU would miss the 5e-5 tolerance against the float64 cascade
    product = partial(lax.dot, precision=lax.Precision.HIGHEST)
    blocks = x.reshape(-1, block)  # rows * count, B
    y = product(blocks, direct).reshape(rows, count, *observe.shape[1:])
    kicks = product(blocks, inject).reshape(rows, count, size, channels)

    def step(state, kick):
        return sum(advance[:, j] * state[:, j, None] for j in range(size)) + kick, state

    state, before = lax.scan(step, state, kicks.swapaxes(0, 1), unroll=min(count, 8))
    before = before.swapaxes(0, 1)  # rows, count, S, C: states at the start of each block
    along_time = (..., None) if channels_first else (slice(None), slice(None), None)
    y = y + sum(before[:, :, j][along_time] * observe[j] for j in range(size))
    return state, y if channels_first else y.reshape(rows, count * block, channels)


@partial(jax.jit, static_argnames=("fs", "cfs", "filter_type"))
def filter_sound(x, fs: float, cfs: tuple, filter_type: str, state):
    """Filter x (rows, samples) from a state (rows, S, C): the state at its end, and y (rows, C, samples)."""
    rows, samples = x.shape
    whole = samples // STRETCH * STRETCH
    stretches = x[:, :whole].reshape(rows, -1, STRETCH).swapaxes(0, 1)
    bank = block_filters(fs, cfs, STRETCH, filter_type)[0]

    def put(
        carry, item
    ):  # straight to its place: stacked outputs would be moved through memory once more
        (state, y), (start, stretch) = carry, item
        state, blocks = _filter_blocks(bank, state, stretch, channels_first=True)
        blocks = blocks.swapaxes(1, 2).reshape(rows, len(cfs), STRETCH)
        return (state, lax.dynamic_update_slice_in_dim(y, blocks, start, axis=2)), None

    y = jnp.zeros((rows, len(cfs), samples), x.dtype)
    if whole:
        (state, y), _ = lax.scan(put, (state, y), (jnp.arange(0, whole, STRETCH), stretches))
    if whole < samples:
        banks = block_filters(fs, cfs, samples - whole, filter_type)
        state, rest = filter_samples(banks, state, x[:, whole:])
        y = lax.dynamic_update_slice_in_dim(y, rest.swapaxes(1, 2), whole, axis=2)
    return state, y
