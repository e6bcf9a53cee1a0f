"""Trees as arrays by name, and back."""

import jax
import numpy as np
import pytest

from ssl_jax.networks.serialisation import from_named, named_arrays
from support.runs import refuses

TREE = {
    "a": np.arange(3.0, dtype=np.float32),
    "b": [np.ones((2, 2), np.int32)],
    "key": jax.random.key(7),
}


def test_arrays_are_named_after_their_path():
    assert set(named_arrays("x", TREE)) == {"x.a", "x.b.0", "x.key"}


def test_a_tree_comes_back_as_it_was():
    back = from_named("x", TREE, named_arrays("x", TREE))
    np.testing.assert_array_equal(back["a"], TREE["a"])
    np.testing.assert_array_equal(back["b"][0], TREE["b"][0])
    # a key is one again
    assert jax.random.bits(back["key"]) == jax.random.bits(TREE["key"])


@pytest.mark.parametrize("other", [None, np.zeros(4, np.float32), np.zeros(3), "text"])
def test_an_array_that_does_not_fit_is_named(other):
    """Missing, of another shape, of another kind, and no array."""
    arrays = named_arrays("x", TREE) | {"x.a": other}
    refuses("x.a is missing or of another shape", from_named, "x", TREE, arrays)
