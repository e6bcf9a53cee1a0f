"""Packed networks as ONNX: the graphs of phase_network.py and three_branch.py, node by node. No converter
takes them with any number of frames, since one frame alone goes another way through the former."""

import json
from functools import partial

import numpy as np

from ssl_jax.common.errors import InputError
from ssl_jax.common.files import atomic_write
from ssl_jax.config import AZIMUTHS
from ssl_jax.networks import phase_network as its
from ssl_jax.networks.packed import default_weights, describe, load_weights, temperature_of

try:
    from onnx import TensorProto, helper, numpy_helper
except ImportError:
    raise InputError("export: the package onnx is missing: pip install 'ssl_jax[onnx]'") from None


class Graph(list):
    """Nodes in their order. g.Add(a, b, axis=1) appends one: names, arrays and numbers in, its name out.
    Between layers everything is (batch, features, frames)."""

    def __getattr__(self, kind: str):
        return partial(self.node, kind)

    def node(self, kind: str, *inputs, **attributes) -> str:
        names = list(inputs)
        for i, value in enumerate(inputs):
            if not isinstance(value, str):
                value = np.asarray(
                    value, np.int64 if np.asarray(value).dtype.kind == "i" else np.float32
                )
                names[i] = self.Constant(value=numpy_helper.from_array(value))
        self.append(helper.make_node(kind, names, [f"x{len(self)}"], **attributes))
        return self[-1].output[0]

    def layer(self, x: str, layer, norm=None) -> str:
        """A convolution over frames, or a linear layer (one tap); with a normalisation, folded in; ReLU."""
        kernel, bias = layer.kernel[...].reshape(-1, *layer.kernel.shape[-2:]), layer.bias[...]
        if norm is not None:
            slope = norm.scale[...] / np.sqrt(norm.var[...] + norm.epsilon)
            kernel, bias = kernel * slope, (bias - norm.mean[...]) * slope + norm.bias[...]
        x = self.Conv(x, kernel.T, bias, pads=[len(kernel) // 2] * 2)
        return x if norm is None else self.Relu(x)

    def pooled(self, x: str, score) -> str:
        """Frames weighed by the softmax of their scores: (batch, heads, features)."""
        return self.MatMul(
            self.Softmax(self.layer(x, score), axis=2), self.Transpose(x, perm=(0, 2, 1))
        )


def phase_network(g: Graph, net) -> str:
    """Logits of a `PhaseNetwork` without the options of its ablation."""
    cues = "cues"
    if twice := net.maps > its.CUES:  # once more with the ears swapped
        cues = g.Concat(cues, g.Mul(cues, np.reshape([-1.0, -1.0, 1.0, 1.0], (-1, 1, 1))), axis=0)
    itd, ild, ic, *power = (g.Gather(cues, i, axis=1) for i in range(net.maps))
    opening, levels = g.Mul(g.Sub(ic, net.gate[...]), its.GATE_SLOPE), []
    for level in power:
        before = g.Slice(g.Pad(level, [0, 0, 1, 0, 0, 0], mode="edge"), [0], [-1], [2])
        rise = g.Div(g.Sub(level, before), its.ONSET_UNIT)
        about = g.Div(g.Sub(level, g.ReduceMean(level, [2])), its.LEVEL_UNIT)
        levels = [
            g.Clip(x, -most, most) for x, most in ((about, its.LEVEL_MOST), (rise, its.ONSET_MOST))
        ]
        for x, weight in zip(levels, (net.gate_level, net.gate_onset)):
            opening = g.Add(opening, g.Mul(x, weight[...]))
    gate, both = g.Sigmoid(opening), (g.Sin, g.Cos)
    cycles = (its.ITD_CYCLES, 2 * its.ITD_CYCLES, 4 * its.ITD_CYCLES, net.cycles)
    phases = [g.Mul(wave(g.Mul(itd, 2 * np.pi * each)), gate) for each in cycles for wave in both]
    phases += [wave(g.Mul(ild, np.pi / net.max_ild * each)) for each in (0.5, 1) for wave in both]
    plain = [g.Mul(itd, gate), g.Div(ild, net.max_ild), g.Mul(g.Sub(ic, 0.9), 5.0), *levels]
    x = g.layer(g.Concat(*phases, *plain, axis=1), net.mixed, net.mixed_norm)
    end = g.Mul(
        g.Max(g.Div(g.Shape(x, start=2), [2]), [1]), [2]
    )  # of pairs of frames, at least one
    x = g.Pad(x, [0, 0, 0, 0, 0, 1], mode="edge")  # the last frame twice: one alone is a pair
    x = g.Mul(g.Add(*(g.Slice(x, [first], end, [2], [2]) for first in (0, 1))), 0.5)
    for layer, norm in zip(net.convs, net.norms):
        x = g.Add(x, g.layer(x, layer, norm))
    x = g.Reshape(g.pooled(x, net.score), [0, -1, 1])
    logits = g.layer(g.layer(x, net.hidden, net.hidden_norm), net.classify)
    if not twice:
        return logits
    ours, swapped = (g.Gather(g.Reshape(logits, [2, -1, AZIMUTHS]), i, axis=0) for i in range(2))
    return g.Mul(g.Add(ours, g.Gather(swapped, its.MIRRORED, axis=1)), 0.5)


def three_branch(g: Graph, net) -> str:
    """Logits of a `ThreeBranch` of `CueBranch`es."""
    found, heads = [], net.attention.heads
    for i, branch in enumerate(net.branches):
        x = g.layer(g.Gather("cues", i, axis=1), branch.conv1, branch.norm1)
        found.append(g.pooled(g.layer(x, branch.conv2, branch.norm2), branch.score))
    x = g.layer(g.Transpose(g.Concat(*found, axis=1), perm=(0, 2, 1)), net.attention.qkv)
    x = g.Reshape(x, [0, 3, heads, -1, len(found)])
    q, k, v = (g.Gather(x, i, axis=1) for i in range(3))  # (B, heads, embed / heads, cues)
    width = net.attention.out.kernel.shape[0] // heads
    scores = g.Div(g.MatMul(g.Transpose(k, perm=(0, 1, 3, 2)), q), width**0.5)
    x = g.Reshape(g.MatMul(v, g.Softmax(scores, axis=2)), [0, -1, len(found)])
    x = g.Transpose(g.layer(x, net.attention.out), perm=(0, 2, 1))
    x = g.LayerNormalization(x, net.norm.scale[...], net.norm.bias[...], epsilon=net.norm.epsilon)
    return g.layer(g.Reshape(x, [0, -1, 1]), net.classify)


GRAPHS = {"ours": phase_network, "recordings": phase_network, "three_branch": three_branch}


def run_export(args) -> None:
    name, g = args.model or default_weights(), Graph()
    info, (net, front) = describe(name), load_weights(name)
    if info["model"] not in GRAPHS:
        raise InputError(
            f"export: {name} is a network {info['model']!r}: use one of {', '.join(GRAPHS)}"
        )
    g.Softmax(
        g.Div(g.Reshape(GRAPHS[info["model"]](g, net), [0, -1]), temperature_of(name)), axis=1
    )
    g[-1].output[0] = "posterior"
    maps: list = ["batch", front.map_count, front.channels, "frames"]
    cues = helper.make_tensor_value_info("cues", TensorProto.FLOAT, maps)
    posterior = helper.make_tensor_value_info("posterior", TensorProto.FLOAT, ["batch", AZIMUTHS])
    graph = helper.make_graph(g, name, [cues], [posterior])
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8
    )  # of 2022
    helper.set_model_props(model, {"ssl_jax": json.dumps(info)})
    with atomic_write(args.to) as stream:
        stream.write(model.SerializeToString())
