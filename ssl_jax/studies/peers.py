"""What others offer for the same sums: the peers of the benchmark.

Their packages are optional, but for SciPy.
"""

from collections.abc import Callable

import numpy as np
from scipy import signal as sps

from ssl_jax.config import AZIMUTHS, FrontEnd


def gammatone_filterbank(ear: np.ndarray, front: FrontEnd) -> Callable:
    """The filterbank of the package gammatone (detly) on one ear; ImportError without it."""
    from gammatone.filters import erb_filterbank, make_erb_filters

    coefficients = make_erb_filters(front.fs, front.cfs)
    return lambda: erb_filterbank(ear, coefficients)


def scipy_rendering(sources: np.ndarray, responses: np.ndarray, snr: np.ndarray) -> Callable:
    """A mixture by SciPy's convolutions, overlap and add: (2, samples), peak 1.

    Parameters
    ----------
    sources : (1 + k, samples), the target and k noises
    responses : (1 + k, 2, taps), left ear first
    snr : (k,) dB, see `sounds.mixing.mix`
    """

    def render() -> np.ndarray:
        ears = sps.oaconvolve(sources[:, None], responses, axes=-1)[..., : sources.shape[-1]]
        power = np.mean(ears**2, axis=(1, 2))
        gain = np.sqrt(power[0] / power[1:] * 10 ** (-snr / 10) / len(snr))
        mixture = ears[0] + np.einsum("k,kes->es", gain, ears[1:])
        return mixture / np.abs(mixture).max()

    return render


def torch_network(device: str):
    """The parts of the three-branch network in PyTorch, a ModuleList; ImportError without it."""
    from torch import nn

    def convolution(inputs: int) -> list[nn.Module]:
        return [nn.Conv1d(inputs, 64, 5, padding=2), nn.BatchNorm1d(64), nn.ReLU()]

    branches = nn.ModuleList(
        nn.Sequential(*convolution(32), *convolution(64)) for _ in range(3)
    ).to(device)
    scores = nn.ModuleList(nn.Linear(64, 1) for _ in range(3)).to(device)
    attention = nn.MultiheadAttention(64, 4, batch_first=True, device=device)
    norm = nn.LayerNorm(64, device=device)
    classify = nn.Linear(192, AZIMUTHS, device=device)
    return nn.ModuleList([branches, scores, attention, norm, classify])


def torch_train_step(batch: int) -> Callable[[], None]:
    """A training step of `torch_network`; ImportError without PyTorch."""
    import torch
    from torch import nn

    device = "cuda" if torch.cuda.is_available() else "cpu"
    modules = torch_network(device)
    branches, scores, attention, norm, classify = modules
    optimiser = torch.optim.AdamW(modules.parameters(), lr=1e-3, weight_decay=0.01)
    cues = torch.randn(batch, 3, 32, 100, device=device)
    labels = torch.arange(batch, device=device) % AZIMUTHS

    def step() -> None:
        optimiser.zero_grad()
        pooled = []
        for number, (branch, score) in enumerate(zip(branches, scores, strict=True)):
            frames = branch(cues[:, number]).transpose(1, 2)  # batch, frames, 64
            weights = torch.softmax(score(frames), dim=1)
            pooled.append((weights * frames).sum(1))
        x = torch.stack(pooled, dim=1)  # batch, 3, 64
        attended, _ = attention(x, x, x)
        logits = classify(norm(attended).flatten(1))
        nn.functional.cross_entropy(logits, labels).backward()
        optimiser.step()
        if device == "cuda":
            torch.cuda.synchronize()

    return step
