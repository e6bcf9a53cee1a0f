"""The two networks: cue maps in, one logit per azimuth class out (Flax NNX).

`ThreeBranch` is the network of both published tables, `ResNet` the residual CNN of the same
notebook (github.com/Kenzot007/SoundSourceLocalization, run_model.ipynb). Both take float maps
(batch, 3 cues, 32 channels, frames), cues in the order ITD (ms), ILD (dB), IC (0..1), any number
of frames, and give logits (batch, 72), class = azimuth / 5 degrees.

Initial weights and normalisation follow PyTorch's defaults, under which the tables were made.
`model.train()` and `model.eval()` switch batch normalisation and dropout; a new model trains.

The convolutions are XLA's own, channels last: on a CPU they beat matrix products over
concatenated shifts by a fifth. That holds outside loops only: inside `lax.scan` XLA falls
back to a convolution thirty times slower, so a training loop must dispatch step by step. Where a
pure function updates the model, `nnx.merge(..., copy=True)` lets BatchNorm write its statistics.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
import zipfile
import zlib

from flax import nnx
import jax
from jax import lax
import jax.numpy as jnp
import numpy as np

from ssl_jax.config import AZIMUTHS
from ssl_jax.files import InputError

CUES = 3  # ITD, ILD, IC
CHANNELS = 32  # gammatone channels the networks are built for (published)


def _uniform(bound: float):
    """Initialiser U(-bound, bound)."""
    def init(key, shape, dtype=jnp.float32):
        return jax.random.uniform(key, shape, dtype, -bound, bound)
    return init


def _linear(inputs: int, outputs: int, rngs: nnx.Rngs) -> nnx.Linear:
    """Linear layer as PyTorch starts it: weights and bias U(+-1/sqrt(inputs))."""
    init = _uniform(inputs**-0.5)
    return nnx.Linear(inputs, outputs, kernel_init=init, bias_init=init, rngs=rngs)


def _conv(inputs: int, outputs: int, kernel: tuple[int, ...], rngs: nnx.Rngs, stride: int = 1) -> nnx.Conv:
    """Convolution as PyTorch starts it, zero-padded by kernel // 2 on either side.

    The padding is spelled out because "SAME" pads a strided convolution on the far side only.
    """
    init = _uniform((inputs * np.prod(kernel)) ** -0.5)
    return nnx.Conv(
        inputs, outputs, kernel, strides=stride, padding=[(k // 2, k // 2) for k in kernel],
        kernel_init=init, bias_init=init, rngs=rngs,
    )


class BatchNorm(nnx.Module):
    """Batch normalisation over all axes but the last, with PyTorch's running variance.

    PyTorch normalises by the biased variance of the batch (divided by n) but lets the running
    variance follow the unbiased one (divided by n - 1); `nnx.BatchNorm` uses the biased one in
    both places, hence this class. Momentum 0.1 (Flax counts it as 0.9), eps 1e-5 (Ioffe & Szegedy
    2015; torch.nn.BatchNorm1d).
    """

    def __init__(self, features: int):
        self.scale = nnx.Param(jnp.ones(features))
        self.bias = nnx.Param(jnp.zeros(features))
        self.mean = nnx.BatchStat(jnp.zeros(features))
        self.var = nnx.BatchStat(jnp.ones(features))
        self.use_running_average = False  # the name that nnx's train() and eval() set
        self.momentum = 0.1
        self.epsilon = 1e-5

    def __call__(self, x: jax.Array) -> jax.Array:
        """Normalise `x` (..., features); while training, move the running statistics too."""
        if self.use_running_average:
            mean, var = self.mean[...], self.var[...]
        else:
            axes = tuple(range(x.ndim - 1))
            mean = x.mean(axes)
            # E[x^2] - E[x]^2 reads x once; its rounding, near 1e-7 E[x]^2, is far below epsilon
            var = jnp.maximum((x * x).mean(axes) - mean * mean, 0)
            n = x.size // x.shape[-1]
            unbiased = var * (n / max(n - 1, 1))
            self.mean[...] += self.momentum * (lax.stop_gradient(mean) - self.mean[...])
            self.var[...] += self.momentum * (lax.stop_gradient(unbiased) - self.var[...])
        slope = self.scale[...] * lax.rsqrt(var + self.epsilon)
        return x * slope + (self.bias[...] - mean * slope)


class CueBranch(nnx.Module):
    """One cue map to one vector: two convolutions over `kernel` frames, then attention pooling."""

    def __init__(self, channels: int, embed: int, kernel: int, rngs: nnx.Rngs):
        self.conv1 = _conv(channels, embed, (kernel,), rngs)
        self.norm1 = BatchNorm(embed)
        self.conv2 = _conv(embed, embed, (kernel,), rngs)
        self.norm2 = BatchNorm(embed)
        self.score = _linear(embed, 1, rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """(batch, frames, channels) to (batch, embed)."""
        x = nnx.relu(self.norm1(self.conv1(x)))  # (B, T, 32) -> (B, T, 64)
        x = nnx.relu(self.norm2(self.conv2(x)))  # (B, T, 64)
        weights = jax.nn.softmax(self.score(x)[..., 0], axis=1)  # (B, T), adds up to 1 over time
        return jnp.einsum("bt,bte->be", weights, x)


class SelfAttention(nnx.Module):
    """Multi-head self-attention as `torch.nn.MultiheadAttention` (Vaswani et al. 2017).

    One fused projection gives queries, keys and values, so that Xavier's bound comes from the
    fused (embed, 3 embed) matrix as in PyTorch; biases start at 0.
    """

    def __init__(self, embed: int, heads: int, rngs: nnx.Rngs):
        self.heads = heads
        self.qkv = nnx.Linear(embed, 3 * embed, kernel_init=nnx.initializers.xavier_uniform(), rngs=rngs)
        self.out = nnx.Linear(embed, embed, kernel_init=_uniform(embed**-0.5), rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """(batch, length, embed) to the same."""
        B, L, E = x.shape
        q, k, v = jnp.moveaxis(self.qkv(x).reshape(B, L, 3, self.heads, E // self.heads), 2, 0)
        score = jnp.einsum("bqhd,bkhd->bhqk", q, k) * (E // self.heads) ** -0.5
        mixed = jnp.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(score), v)  # (B, L, heads, E / heads)
        return self.out(mixed.reshape(B, L, E))


class ThreeBranch(nnx.Module):
    """The network of both published tables: a branch per cue, attention across the three cues.

    124,171 parameters. No residual around the attention, no dropout, as published.
    """

    def __init__(self, rngs: nnx.Rngs):
        embed = 64
        self.branches = nnx.List([CueBranch(CHANNELS, embed, 5, rngs) for _ in range(CUES)])
        self.attention = SelfAttention(embed, 4, rngs)
        self.norm = nnx.LayerNorm(embed, epsilon=1e-5, rngs=rngs)
        self.classify = _linear(CUES * embed, AZIMUTHS, rngs)

    def __call__(self, cues: jax.Array) -> jax.Array:
        """Logits (batch, 72) of cue maps (batch, 3, 32, frames); ValueError for another shape."""
        _check(cues)
        x = cues.astype(jnp.float32).transpose(1, 0, 3, 2)  # (B, 3, 32, T) -> (3, B, T, 32)
        x = jnp.stack([branch(x[i]) for i, branch in enumerate(self.branches)], axis=1)  # (B, 3, 64)
        x = self.norm(self.attention(x))
        return self.classify(x.reshape(len(x), -1))  # (B, 192) -> (B, 72)


class ResidualBlock(nnx.Module):
    """Basic residual block (He et al. 2016), 1 x 1 projection where size or width changes."""

    def __init__(self, inputs: int, outputs: int, stride: int, rngs: nnx.Rngs):
        self.conv1 = _conv(inputs, outputs, (3, 3), rngs, stride)
        self.norm1 = BatchNorm(outputs)
        self.conv2 = _conv(outputs, outputs, (3, 3), rngs)
        self.norm2 = BatchNorm(outputs)
        self.project = stride != 1 or inputs != outputs
        if self.project:
            self.shortcut = _conv(inputs, outputs, (1, 1), rngs, stride)
            self.shortcut_norm = BatchNorm(outputs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """(batch, height, width, inputs) to (batch, height / stride, width / stride, outputs)."""
        identity = self.shortcut_norm(self.shortcut(x)) if self.project else x
        x = nnx.relu(self.norm1(self.conv1(x)))
        return nnx.relu(self.norm2(self.conv2(x)) + identity)


class ResNet(nnx.Module):
    """The notebook's 2-D residual CNN: the three cues are the colours of a channels x time image.

    Its dropout draws from a stream kept in the model's state (nnx.RngState), beside Param and
    BatchStat. 594,376 parameters.
    """

    def __init__(self, rngs: nnx.Rngs):
        self.conv = _conv(CUES, 32, (3, 3), rngs)
        self.norm = BatchNorm(32)
        self.blocks = nnx.List([
            ResidualBlock(32, 64, 2, rngs), ResidualBlock(64, 128, 2, rngs), ResidualBlock(128, 128, 1, rngs),
        ])
        self.dropout = nnx.Dropout(0.3, rngs=rngs)
        self.classify = _linear(128, AZIMUTHS, rngs)

    def __call__(self, cues: jax.Array) -> jax.Array:
        """Logits (batch, 72) of cue maps (batch, 3, 32, frames); ValueError for another shape."""
        _check(cues)
        x = cues.astype(jnp.float32).transpose(0, 2, 3, 1)  # (B, 3, 32, T) -> (B, 32, T, 3)
        x = nnx.relu(self.norm(self.conv(x)))  # (B, 32, T, 32)
        for block in self.blocks:
            x = block(x)  # (B, 16, T/2, 64), (B, 8, T/4, 128), (B, 8, T/4, 128)
        return self.classify(self.dropout(x.mean((1, 2))))  # (B, 128) -> (B, 72)


def _check(cues: jax.Array) -> None:
    """ValueError unless `cues` is (batch, 3, 32, frames)."""
    if cues.ndim != 4 or cues.shape[1:3] != (CUES, CHANNELS):
        raise ValueError(f"cue maps must be (batch, {CUES}, {CHANNELS}, frames), not {cues.shape}")


def build_model(name: str, seed: int) -> nnx.Module:
    """A freshly initialised network, in training mode.

    Parameters
    ----------
    name : str
        "three_branch" (also "model1" and "model2", the tables' names for it) or "resnet".
    seed : int
        Of the initial weights and of dropout.

    Raises
    ------
    ValueError
        For another name.
    """
    networks = {"three_branch": ThreeBranch, "model1": ThreeBranch, "model2": ThreeBranch, "resnet": ResNet}
    if name not in networks:
        raise ValueError(f"no network is called {name!r}; there are: {', '.join(networks)}")
    return networks[name](nnx.Rngs(seed))


def published_variables(model: ThreeBranch) -> Iterator[tuple[str, nnx.Variable]]:
    """Every array of the network with its name in the published (PyTorch) checkpoints.

    PyTorch keeps the axes of each in the reverse order: Linear (out, in) where Flax has (in, out),
    Conv1d (out, in, kernel) where Flax has (kernel, in, out).
    """
    def weight_and_bias(name, weight, bias):
        yield f"{name}.weight", weight
        yield f"{name}.bias", bias

    for i, branch in enumerate(model.branches):
        layers = f"cue_branches.{i}.conv_net.conv"
        for conv, norm, at in ((branch.conv1, branch.norm1, 0), (branch.conv2, branch.norm2, 3)):
            yield from weight_and_bias(f"{layers}.{at}", conv.kernel, conv.bias)
            yield from weight_and_bias(f"{layers}.{at + 1}", norm.scale, norm.bias)
            yield f"{layers}.{at + 1}.running_mean", norm.mean
            yield f"{layers}.{at + 1}.running_var", norm.var
        score = branch.score
        yield from weight_and_bias(f"cue_branches.{i}.attn_pool.attn_score", score.kernel, score.bias)
    qkv, out = model.attention.qkv, model.attention.out
    yield "cross_attn.in_proj_weight", qkv.kernel
    yield "cross_attn.in_proj_bias", qkv.bias
    yield from weight_and_bias("cross_attn.out_proj", out.kernel, out.bias)
    yield from weight_and_bias("norm", model.norm.scale, model.norm.bias)
    yield from weight_and_bias("fc", model.classify.kernel, model.classify.bias)


def load_published(weights: str | Path | Mapping[str, np.ndarray]) -> ThreeBranch:
    """The three-branch network with given weights, in evaluation mode.

    Parameters
    ----------
    weights : path of an .npz file, or a mapping of arrays
        PyTorch's names and layouts (see `published_variables`); other entries, such as
        num_batches_tracked, are passed over.

    Raises
    ------
    InputError
        When an array is missing, has another shape or is not of finite numbers (the message
        names it), or when the file is no .npz file.
    """
    if not isinstance(weights, Mapping):
        try:
            with np.load(weights, allow_pickle=False) as arrays:
                weights = dict(arrays)
        except (ValueError, TypeError, AttributeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise InputError(f"{weights}: not an .npz file of weights ({error}): fetch it again") from None
    model = build_model("three_branch", 0)
    for name, variable in published_variables(model):
        if name not in weights:
            raise InputError(f"weights: {name} is missing: these are not of the three-branch network")
        array, shape = np.asarray(weights[name]), variable[...].shape[::-1]
        if array.shape != shape:
            raise InputError(f"weights: {name} has shape {array.shape}, the network needs {shape}")
        if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
            raise InputError(f"weights: {name} holds something else than finite numbers")
        variable[...] = jnp.asarray(array.T, jnp.float32)
    model.eval()
    return model
