"""Mixtures of random cue maps, and runs of two epochs on them."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from ssl_jax.config import Database, FrontEnd, Training
from ssl_jax.training.batches import Mixtures
from ssl_jax.training.context import RunFolders
from ssl_jax.training.run import train

FRAMES = 10


@pytest.fixture(scope="session")
def tiny():
    """A run of two epochs: 128 mixtures to train on, 16 held out."""
    return Training(clips=2, epochs=2, batch=16, evaluation_share=1 / 9)


@pytest.fixture(scope="session")
def mixtures():
    """Two clips; the class can be learnt: it is written into the maps."""
    cues = np.random.default_rng(0).normal(size=(144, 3, 32, FRAMES))
    cues[:, :, 0] += (np.arange(144) % 72)[:, None, None] / 10
    shards = [cues[:72].astype(np.float16), cues[72:].astype(np.float16)]
    return Mixtures(shards, Database(clips=2, shard=72), FrontEnd(hop=4410))


@pytest.fixture(scope="session")
def trained(tmp_path_factory, tiny, mixtures):
    """The run `m` of the published network, one of another batch, and one of another network."""
    folder = tmp_path_factory.mktemp("trained")
    folders = RunFolders(folder, folder / "r")
    train("m", tiny, mixtures, folders)
    train("other", replace(tiny, batch=32), mixtures, folders)
    train("resnet", replace(tiny, model="resnet"), mixtures, folders)
    return folder


@pytest.fixture
def folders(trained, tmp_path):
    """The folders of these runs, to be changed."""
    work = shutil.copytree(trained, tmp_path / "w")
    return RunFolders(work, work / "r")
