"""What the benchmark compares with: the same sums as other people write them."""

import numpy as np
from scipy import signal as sps

from ssl_jax.frontend.filter_design import gammatone_sos


def sosfilt_cascade(sound, fs: float, cfs) -> np.ndarray:
    """The filterbank by `scipy.signal.sosfilt`, channel by channel: (..., channels, samples)."""
    return np.stack([sps.sosfilt(sos, sound) for sos in gammatone_sos(fs, cfs)], axis=-2)


def sample_loop(left, right, fs: float, tau=0.010, max_itd=0.001) -> list:
    """Cues of one channel (samples,) sample after sample, as the published method runs.

    Gives (lag, level ratio, coherence) per sample.
    """
    lags = round(fs * max_itd)
    a = 1 / (tau * fs)
    padded = np.pad(right, lags)
    cross, right_energy, left_energy = np.zeros(2 * lags + 1), np.zeros(2 * lags + 1), 0.0
    cues = []
    for n, l in enumerate(left):
        r = padded[n : n + 2 * lags + 1]
        cross = (1 - a) * cross + a * l * r
        right_energy = (1 - a) * right_energy + a * r * r
        left_energy = (1 - a) * left_energy + a * l * l
        gamma = cross / np.sqrt(left_energy * right_energy + 1e-30)
        best = int(np.argmax(gamma))
        cues.append((best - lags, left_energy / (right_energy[best] + 1e-30), gamma[best]))
    return cues


def vectorised(left, right, fs: float, hop: int, tau=0.010, max_itd=0.001) -> tuple:
    """All channels (channels, samples) at once in NumPy: one-pole filters of the lagged products.

    Gives lag, level ratio and coherence, each (channels, samples // hop).
    """
    lags = round(fs * max_itd)
    a = 1 / (tau * fs)
    padded = np.pad(right, ((0, 0), (lags, lags)))
    samples = left.shape[1]

    def smooth(x):
        return sps.lfilter([a], [1, a - 1], x)[:, hop - 1 :: hop]

    left_energy = smooth(left**2)
    best = np.full(left_energy.shape, -np.inf)
    lag, level = np.zeros_like(best), np.zeros_like(best)
    for m in range(2 * lags + 1):
        r = padded[:, m : m + samples]
        right_energy = smooth(r * r)
        gamma = smooth(left * r) / np.sqrt(left_energy * right_energy + 1e-30)
        higher = gamma > best
        best[higher], lag[higher] = gamma[higher], m - lags
        level[higher] = (left_energy / (right_energy + 1e-30))[higher]
    return lag, level, best


def torch_train_step(batch: int):
    """One training step of the three-branch network in PyTorch, as a function; None without torch."""
    try:
        import torch
        from torch import nn
    except ImportError:
        return None
    device = "cuda" if torch.cuda.is_available() else "cpu"

    def branch():
        first, second = nn.Conv1d(32, 64, 5, padding=2), nn.Conv1d(64, 64, 5, padding=2)
        layers = (first, nn.BatchNorm1d(64), nn.ReLU(), second, nn.BatchNorm1d(64), nn.ReLU())
        return nn.Sequential(*layers).to(device)

    branches, scores = [branch() for _ in range(3)], [nn.Linear(64, 1, device=device) for _ in range(3)]
    attention = nn.MultiheadAttention(64, 4, batch_first=True, device=device)
    norm, classify = nn.LayerNorm(64, device=device), nn.Linear(192, 72, device=device)
    modules = nn.ModuleList([*branches, *scores, attention, norm, classify])
    optimiser = torch.optim.AdamW(modules.parameters(), lr=1e-3, weight_decay=0.01)
    cues = torch.randn(batch, 3, 32, 100, device=device)
    labels = torch.arange(batch, device=device) % 72

    def pooled(i):
        x = branches[i](cues[:, i]).transpose(1, 2)  # (B, T, 64)
        return (torch.softmax(scores[i](x), dim=1) * x).sum(1)

    def step():
        optimiser.zero_grad()
        x = torch.stack([pooled(i) for i in range(3)], dim=1)
        logits = classify(norm(attention(x, x, x)[0]).flatten(1))
        nn.functional.cross_entropy(logits, labels).backward()
        optimiser.step()
        if device == "cuda":
            torch.cuda.synchronize()

    return step
