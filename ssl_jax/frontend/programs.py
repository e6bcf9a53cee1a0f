"""How programs are compiled and run, on one device and on several that share the work."""

from collections.abc import Callable, Iterable, Iterator

import jax
from jax.sharding import Mesh

# How to compile programs that scan: vectors of 512 bits where a CPU has them. XLA takes 256 by
# default. Each lane computes the same.
WIDE_VECTORS = {"xla_cpu_prefer_vector_width": 512}


def shared_program(function: Callable, mesh: Mesh, in_specs, out_specs) -> Callable:
    """One compiled program of whole arrays, in which every device of the mesh does its share.

    Parameters
    ----------
    function : callable
        Takes one device's share of the arguments, returns its share of the results.
    mesh : Mesh
    in_specs, out_specs : PartitionSpec, or a tree of them
        How arguments and results are cut up among the devices, see `jax.shard_map`.
    """
    # unchecked: a scan's first state is the same on all devices and its later ones are not, which
    # the check refuses
    shared = jax.shard_map(
        function, mesh=mesh, in_specs=in_specs, out_specs=out_specs, check_vma=False
    )
    return jax.jit(shared, compiler_options=WIDE_VECTORS)


def one_ahead(start: Callable, finish: Callable, items: Iterable) -> Iterator:
    """`finish(start(item))` of each item; devices work on the next one while one is finished.

    `start` has devices compute and does not wait, `finish` waits.
    """
    running = None
    # `map` and no loop over items: a name for the item would keep its arrays in memory
    for started in map(start, items):
        if running is not None:
            yield finish(running)
        running = started
    if running is not None:
        yield finish(running)
