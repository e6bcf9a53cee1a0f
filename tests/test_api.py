"""What `import ssl_jax` offers: names, aliases, types; and it waits for JAX until it is used."""

import ast
import os
import subprocess
import sys

import pytest

import ssl_jax
from ssl_jax.common.errors import InputError
from ssl_jax.recordings.azimuths import mean_azimuth
from support.runs import ROOT

ALIASES = {
    "interaural_cues": "get_cues_clean",
    "gammatone_filterbank": "GF_spectrogram",
    "hair_cell": "haircell_model",
}
IMPORT = """
import sys, ssl_jax
ssl_jax.FrontEnd
assert not {"jax", "numpy", "matplotlib"} & set(sys.modules)
"""
# of float32 as well as of float64: JAX is told to keep both
DOUBLE = """
import jax, numpy as np
from ssl_jax import get_cues_clean, localise
noise = 0.1 * np.random.default_rng(0).standard_normal(8830)
ears = np.stack([noise[10:], noise[:-10] / 2], axis=1)
for dtype in ("float64", "float32"):
    cues = get_cues_clean(ears.astype(dtype), 44_100, [900.0, 300.0])
    assert cues.ild.dtype == cues.itd.dtype == cues.ic.dtype == dtype
    assert abs(np.median(cues.ild) - 6.02) < 0.1
for model in ("general", "baseline"):
    found = localise(ears, 44_100, model=model)
    assert found.azimuth.shape == (1,) and np.isfinite(found.azimuth).all()
"""


def run(code, **more):
    env = os.environ | {"PYTHONPATH": str(ROOT)} | more
    return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)


@pytest.mark.parametrize("alias, name", ALIASES.items())
def test_names_of_the_field_are_the_same_objects(alias, name):
    assert getattr(ssl_jax, alias) is getattr(ssl_jax, name)


def test_every_name_is_there_and_is_completed():
    assert {name for name in ssl_jax.__all__ if getattr(ssl_jax, name, None) is None} == set()
    assert set(ssl_jax.__all__) <= set(dir(ssl_jax))
    assert ssl_jax.mean_azimuth is mean_azimuth
    assert ssl_jax.metrics.__name__ == "ssl_jax.metrics"


def test_a_star_import_gives_every_name():
    names = {}
    exec("from ssl_jax import *", names)
    assert set(ssl_jax.__all__) <= set(names)


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nonsense"):
        ssl_jax.nonsense  # noqa: B018


def test_type_checkers_see_the_names_that_are_there():
    tree = ast.parse((ROOT / "ssl_jax/__init__.py").read_text("utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    seen = {alias.asname: f"{node.module}.{alias.name}" for node in imports for alias in node.names}
    modules = {name: f"ssl_jax.{module}" for name, module in ssl_jax.MODULES.items()}
    homes = {name: f"ssl_jax.{module}.{name}" for name, module in ssl_jax.HOME.items()}
    assert seen == modules | homes


def test_importing_the_package_does_not_wait_for_jax():
    done = run(IMPORT)
    assert done.returncode == 0, done.stderr


def test_bad_input_is_a_value_error():
    assert issubclass(InputError, ValueError)
    assert ssl_jax.InputError is InputError


def test_jax_may_be_told_to_keep_float64():
    done = run(DOUBLE, JAX_ENABLE_X64="1")
    assert done.returncode == 0, done.stderr
