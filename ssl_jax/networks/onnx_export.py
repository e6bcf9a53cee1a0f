"""Packed networks as ONNX: the graphs of phase_network.py and three_branch.py, node by node.

No converter takes them with any number of frames: one frame alone goes another way through the
former than several do.
"""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from ssl_jax.common.errors import InputError
from ssl_jax.common.files import atomic_write, check_outputs
from ssl_jax.config import AZIMUTHS, IC_MAP, ILD_MAP, LEVEL_MAP, FrontEnd
from ssl_jax.networks import level_features, spectrum
from ssl_jax.networks import phase_network as phase
from ssl_jax.networks.packed import (
    default_weights,
    describe,
    load_weights,
    path_of,
    temperature_of,
)
from ssl_jax.networks.spectrum import Spectrum

try:
    from onnx import ModelProto, TensorProto, helper, numpy_helper
except ImportError:
    raise InputError("export: the package onnx is missing: pip install onnx") from None

# the first operator set with ReduceMean's axes as an input and Shape's start; of 2022
OPERATOR_SET = 18
IR_VERSION = 8


class Graph(list):
    """The nodes of a graph in their order.

    `g.Add(a, b, axis=1)` appends an Add: names, arrays and numbers go in, the name of what comes
    out is returned. Between layers everything is (batch, features, frames).
    """

    def __getattr__(self, kind: str):
        return partial(self.node, kind)

    def node(self, kind: str, *inputs, **attributes) -> str:
        """Append a node of the operator `kind`; arrays and numbers become constants before it."""
        names = [value if isinstance(value, str) else self.constant(value) for value in inputs]
        output = f"x{len(self)}"
        self.append(helper.make_node(kind, names, [output], **attributes))
        return output

    def constant(self, value) -> str:
        """Append a constant: int64 of whole numbers, float32 of others."""
        array = np.asarray(value)
        array = array.astype(np.int64 if array.dtype.kind == "i" else np.float32)
        return self.Constant(value=numpy_helper.from_array(array))

    def layer(self, x: str, layer) -> str:
        """Append a convolution over frames, or a linear layer, which is one of one tap."""
        return self._convolution(x, _kernel_of(layer), np.asarray(layer.bias[...]))

    def normed_layer(self, x: str, layer, norm) -> str:
        """Append a layer with its batch normalisation folded in, and a ReLU."""
        slope = norm.scale[...] / np.sqrt(norm.var[...] + norm.epsilon)
        bias = (layer.bias[...] - norm.mean[...]) * slope + norm.bias[...]
        return self.Relu(self._convolution(x, _kernel_of(layer) * slope, bias))

    def _convolution(self, x: str, kernel, bias) -> str:
        """Append a convolution by a kernel (taps, inputs, outputs), padded on both sides."""
        return self.Conv(x, kernel.T, bias, pads=[len(kernel) // 2] * 2)

    def pooled(self, x: str, score) -> str:
        """Append the sum of frames weighted by the softmax of scores: (batch, heads, features)."""
        # (B, heads, T) times (B, T, features)
        weights = self.Softmax(self.layer(x, score), axis=2)
        return self.MatMul(weights, self.Transpose(x, perm=(0, 2, 1)))


def _kernel_of(layer) -> np.ndarray:
    """The kernel of a convolution or linear layer: (taps, inputs, outputs)."""
    kernel = layer.kernel[...]
    return kernel.reshape(-1, *kernel.shape[-2:])


def _phases(g: Graph, angles_per_unit: list, x: str) -> list[str]:
    """Append sine and cosine of `x` times each number of radians in a unit of it."""
    waves = []
    for factor in angles_per_unit:
        angle = g.Mul(x, factor)
        waves += [g.Sin(angle), g.Cos(angle)]
    return waves


def _level_features(g: Graph, level: str) -> tuple[str, str]:
    """Append the level about the mean around it, and its rise since the last frame; in units."""
    # the first frame comes twice, the last not at all: the frame before each
    padded = g.Pad(level, [0, 0, 1, 0, 0, 0], mode="edge")
    before = g.Slice(padded, [0], [-1], [2])
    rise = g.Div(g.Sub(level, before), level_features.ONSET_UNIT)
    half = level_features.MEAN_FRAMES // 2
    mean = g.AveragePool(level, kernel_shape=[2 * half], pads=[half, half - 1], count_include_pad=0)
    about_mean = g.Div(g.Sub(level, mean), level_features.LEVEL_UNIT)
    return (
        g.Clip(about_mean, -level_features.LEVEL_MOST, level_features.LEVEL_MOST),
        g.Clip(rise, -level_features.ONSET_MOST, level_features.ONSET_MOST),
    )


def _opened(g: Graph, net: phase.PhaseNetwork, cues: str, levels: Sequence[str]) -> str:
    """Append how far the gate is open: (batch, channels, frames)."""
    ic = g.Gather(cues, IC_MAP, axis=1)
    opening = g.Mul(g.Sub(ic, net.gate[...]), phase.GATE_SLOPE)
    if levels:
        about_mean, rise = levels
        opening = g.Add(opening, g.Mul(about_mean, net.gate_level[...]))
        opening = g.Add(opening, g.Mul(rise, net.gate_onset[...]))
    return g.Sigmoid(opening)


def _phase_features(
    g: Graph, net: phase.PhaseNetwork, cues: str, levels: Sequence[str], gate: str
) -> str:
    """Append the features of all channels: (batch, features * channels, frames)."""
    itd, ild, ic = (g.Gather(cues, number, axis=1) for number in range(phase.CUES))
    # radians in a ms: three octaves of ITD_CYCLES, and the channel's own frequency
    octaves = [2 * np.pi * octave * phase.ITD_CYCLES for octave in (1, 2, 4)]
    itd_waves = _phases(g, [*octaves, 2 * np.pi * net.cycles], itd)
    itd_phases = [g.Mul(wave, gate) for wave in itd_waves]
    # radians in a dB: half a period over +-max_ild, and a whole one
    ild_phases = _phases(g, [np.pi / 2 / net.max_ild, np.pi / net.max_ild], ild)
    scaled_ic = g.Mul(g.Sub(ic, phase.IC_MIDDLE), float(phase.IC_SCALE))
    plain = [g.Mul(itd, gate), g.Div(ild, net.max_ild), scaled_ic, *levels]
    return g.Concat(*itd_phases, *ild_phases, *plain, axis=1)


def _halved_frames(g: Graph, x: str) -> str:
    """Append the mean of each two frames; one frame alone stays as it is."""
    frames = g.Shape(x, start=2)
    pairs = g.Max(g.Div(frames, [2]), [1])
    end = g.Mul(pairs, [2])
    # the last frame twice: one alone is a pair
    padded = g.Pad(x, [0, 0, 0, 0, 0, 1], mode="edge")
    first = g.Slice(padded, [0], end, [2], [2])
    second = g.Slice(padded, [1], end, [2], [2])
    return g.Mul(g.Add(first, second), 0.5)


def _spectrum(g: Graph, net: Spectrum, cues: str, gate: str) -> str:
    """Append the features of a window's mean spectrum: (batch, features, 1)."""
    ild, level = (g.Gather(cues, number, axis=1) for number in (ILD_MAP, LEVEL_MAP))
    below_loudest = g.Max(g.Sub(level, g.ReduceMax(level, [1, 2])), -spectrum.FLOOR)
    power = g.Exp(g.Div(below_loudest, spectrum.DECIBEL))
    gated = g.Mul(gate, power)
    # each (B, C, 1)
    gated_sum = g.Add(g.ReduceSum(gated, [2]), spectrum.LEAST_POWER)
    gate_sum = g.Add(g.ReduceSum(gate, [2]), spectrum.LEAST_OPENING)
    mean = g.Mul(g.Log(g.ReduceMean(power, [2])), spectrum.DECIBEL)
    gated_mean = g.Mul(g.Log(g.Div(gated_sum, gate_sum)), spectrum.DECIBEL)
    gated_mean = g.Max(gated_mean, -spectrum.FLOOR)
    gated_ild = g.Div(g.ReduceSum(g.Mul(gated, ild), [2]), g.Mul(gated_sum, net.max_ild))
    features = []
    for levels in (mean, gated_mean):
        units = g.MatMul(net.matrix / spectrum.UNIT, levels)
        features.append(g.Clip(units, -spectrum.MOST, spectrum.MOST))
    x = g.Concat(*features, gated_ild, axis=1)
    x = g.normed_layer(x, net.hidden, net.hidden_norm)
    return g.normed_layer(x, net.out, net.out_norm)


def phase_network(g: Graph, net: phase.PhaseNetwork) -> str:
    """Append a `PhaseNetwork` with the usual parts; return its logits (batch, 72, 1)."""
    cues = "cues"
    if net.levels:
        # once more with the ears swapped: ITD and ILD change their sign, 2 B in one batch
        sides = np.reshape([-1.0, -1.0, 1.0, 1.0], (-1, 1, 1))
        cues = g.Concat(cues, g.Mul(cues, sides), axis=0)
    levels = _level_features(g, g.Gather(cues, LEVEL_MAP, axis=1)) if net.levels else ()
    gate = _opened(g, net, cues, levels)
    x = _phase_features(g, net, cues, levels, gate)
    x = g.normed_layer(x, net.mixed, net.mixed_norm)
    x = _halved_frames(g, x)
    for layer, norm in zip(net.convs, net.norms, strict=True):
        x = g.Add(x, g.normed_layer(x, layer, norm))
    # (B, heads, width) -> (B, heads * width, 1)
    x = g.Reshape(g.pooled(x, net.score), [0, -1, 1])
    if net.options.spectrum:
        x = g.Concat(x, _spectrum(g, net.spectrum, cues, gate), axis=1)
    logits = g.layer(g.normed_layer(x, net.hidden, net.hidden_norm), net.classify)
    if not net.levels:
        return logits
    both = g.Reshape(logits, [2, -1, AZIMUTHS])
    as_heard = g.Gather(both, 0, axis=0)
    swapped = g.Gather(g.Gather(both, 1, axis=0), phase.SWAPPED_CLASSES, axis=1)
    return g.Mul(g.Add(as_heard, swapped), 0.5)


def _self_attention(g: Graph, attention, x: str, length: int) -> str:
    """Append self-attention over the last axis of (batch, embed, length)."""
    heads = attention.heads
    width = attention.out.kernel.shape[0] // heads
    # (B, 3 embed, length) -> three of (B, heads, width, length)
    qkv = g.Reshape(g.layer(x, attention.qkv), [0, 3, heads, -1, length])
    q, k, v = (g.Gather(qkv, number, axis=1) for number in range(3))
    # (B, heads, keys, queries)
    scores = g.Div(g.MatMul(g.Transpose(k, perm=(0, 1, 3, 2)), q), width**0.5)
    mixed = g.MatMul(v, g.Softmax(scores, axis=2))
    return g.layer(g.Reshape(mixed, [0, -1, length]), attention.out)


def three_branch(g: Graph, net) -> str:
    """Append a `ThreeBranch` of `CueBranch`es; return its logits (batch, 72, 1)."""
    vectors = []
    for number, branch in enumerate(net.branches):
        # (B, channels, frames) -> (B, embed, frames) -> (B, 1, embed)
        x = g.Gather("cues", number, axis=1)
        x = g.normed_layer(x, branch.conv1, branch.norm1)
        x = g.normed_layer(x, branch.conv2, branch.norm2)
        vectors.append(g.pooled(x, branch.score))
    # (B, 3, embed) -> (B, embed, 3)
    x = g.Transpose(g.Concat(*vectors, axis=1), perm=(0, 2, 1))
    x = _self_attention(g, net.attention, x, len(vectors))
    # -> (B, 3, embed) -> (B, 3 embed, 1)
    x = g.Transpose(x, perm=(0, 2, 1))
    x = g.LayerNormalization(x, net.norm.scale[...], net.norm.bias[...], epsilon=net.norm.epsilon)
    return g.layer(g.Reshape(x, [0, -1, 1]), net.classify)


# the architectures that can be exported
GRAPHS = {
    "phase": phase_network,
    "phase_spectrum": phase_network,
    "three_branch": three_branch,
}


def _model_of(g: Graph, name: str, front: FrontEnd) -> ModelProto:
    """The nodes as an ONNX model from `cues` to `posterior`."""
    maps: list = ["batch", front.map_count, front.channels, "frames"]
    cues = helper.make_tensor_value_info("cues", TensorProto.FLOAT, maps)
    posterior = helper.make_tensor_value_info("posterior", TensorProto.FLOAT, ["batch", AZIMUTHS])
    graph = helper.make_graph(g, name, [cues], [posterior])
    operators = helper.make_opsetid("", OPERATOR_SET)
    return helper.make_model(graph, opset_imports=[operators], ir_version=IR_VERSION)


def export_onnx(path: Path, name: str | None = None) -> None:
    """Write a packed network as ONNX; its notes go into the metadata.

    Parameters
    ----------
    path : where to
    name : of the network, as `load_weights` takes it; that of `localise` unless given

    Raises
    ------
    InputError
        There is no such network, or it is of an architecture without a graph here; or its own
        file would be replaced.
    """
    name = name or default_weights()
    check_outputs([path], [path_of(name)])
    notes = describe(name)
    if notes["model"] not in GRAPHS:
        usable = ", ".join(GRAPHS)
        raise InputError(f"export: {name} is a network {notes['model']!r}: use one of {usable}")
    network, front = load_weights(name)
    g = Graph()
    logits = g.Reshape(GRAPHS[notes["model"]](g, network), [0, -1])
    g.Softmax(g.Div(logits, temperature_of(name)), axis=1)
    g[-1].output[0] = "posterior"
    model = _model_of(g, name, front)
    helper.set_model_props(model, {"ssl_jax": json.dumps(notes)})
    with atomic_write(path) as stream:
        stream.write(model.SerializeToString())
