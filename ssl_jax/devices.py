"""What computes: devices along one axis, of one process or of many on as many hosts.

Database and training are each one program over a mesh of devices (SPMD). A process feeds and reads the rows of an
array that its own devices hold; what the devices of one process are to one another, those of all processes are.
"""

import contextlib
import os
import re
import sys
import threading
import time

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from .files import InputError, error_reason

JOIN_SECONDS = 120  # that processes wait for one another at the start


def start(devices: int | None = None, coordinator: str | None = None, processes: int | None = None,
          process: int | None = None) -> None:
    """Make CPU devices and join the other processes; before anything else uses JAX.

    Parameters
    ----------
    devices : int, optional
        CPU devices of this process (default: its cores). GPUs are taken as they are visible.
    coordinator : str, optional
        HOST:PORT of process 0, the same for all; "auto" where JAX can ask the cluster (Slurm, Open MPI, Kubernetes).
    processes, process : int, optional
        How many there are, and which of them this is.

    Raises
    ------
    InputError
        The numbers make no sense, or the processes do not find one another.
    """
    if devices is not None and not 1 <= devices <= 1024:
        raise InputError(f"--devices {devices}: out of range: use 1 to 1024")
    with contextlib.suppress(RuntimeError):  # already initialised: leave the devices as they are
        jax.config.update("jax_num_cpu_devices", devices or len(os.sched_getaffinity(0)))
    if coordinator is None:
        if processes is not None or process is not None:
            raise InputError("--processes and --process: need --coordinator HOST:PORT, of process 0")
        return
    if coordinator != "auto" and not re.fullmatch(r".+:\d{1,5}", coordinator):
        raise InputError(f"--coordinator {coordinator}: not HOST:PORT: give the address of process 0")
    if coordinator != "auto" and (processes is None or process is None or not 0 <= process < processes):
        raise InputError(f"--coordinator {coordinator}: needs --processes N, and --process 0 to N - 1")
    if jax.distributed.is_initialized():
        return
    jax.config.update("jax_enable_preemption_service", False)  # it would make a process deaf to SIGTERM
    told = f"--coordinator {coordinator}: the processes did not find one another"

    def give_up():
        print(f"ssl_jax: {told} in {JOIN_SECONDS} s: start all of them, with the address of process 0", file=sys.stderr,
              flush=True)
        os._exit(2)

    waiting = threading.Timer(JOIN_SECONDS, give_up)  # JAX itself would abort
    waiting.start()
    try:
        jax.distributed.initialize(None if coordinator == "auto" else coordinator, processes, process,
                                   initialization_timeout=JOIN_SECONDS + 60)
    except (RuntimeError, ValueError) as error:
        reason = error_reason(error)[:200]
        raise InputError(f"{told} ({reason}): start all of them, with the address of process 0") from None
    finally:
        waiting.cancel()
    counts = [sum(d.process_index == p for d in jax.devices()) for p in range(jax.process_count())]
    if len(set(counts)) > 1:
        raise InputError(f"processes have {', '.join(map(str, counts))} devices: give each as many, with --devices "
                         "or CUDA_VISIBLE_DEVICES")


def data_mesh(each: int | None = None) -> Mesh:
    """All devices, or the first `each` of every process, along one axis named "data"."""
    found = jax.devices()
    ours = [[d for d in found if d.process_index == p][:each] for p in range(jax.process_count())]
    return Mesh(np.array([d for some in ours for d in some]), ("data",), axis_types=(AxisType.Auto,))


def on_all(mesh: Mesh) -> NamedSharding:
    """A copy on every device."""
    return NamedSharding(mesh, PartitionSpec())


def shared_out(mesh: Mesh) -> NamedSharding:
    """The first axis shared out among the devices."""
    return NamedSharding(mesh, PartitionSpec("data"))


def place(arrays, sharding: NamedSharding):
    """Arrays on the devices of all processes, from what this process's own are to hold (a tree of them).

    Unlike `jax.device_put` it asks the other processes nothing, so any thread may call it at any time, and takes the
    keys of random numbers wherever the devices are.
    """
    def one(ours):
        if isinstance(ours, jax.Array) and jax.dtypes.issubdtype(ours.dtype, jax.dtypes.prng_key):
            return jax.random.wrap_key_data(one(jax.random.key_data(ours)))
        return jax.make_array_from_process_local_data(sharding, np.asarray(ours))

    return jax.tree.map(one, arrays)


def rows_here(mesh: Mesh, count: int) -> slice:
    """Which of `count` rows, shared out among the devices, those of this process hold."""
    local, each = [d.process_index == jax.process_index() for d in mesh.devices.flat], count // mesh.size
    return slice(local.index(True) * each, (local.index(True) + sum(local)) * each)


def our_rows(array: jax.Array) -> np.ndarray:
    """The opposite of `place` with `shared_out`: the rows that the devices of this process hold."""
    parts = sorted(array.addressable_shards, key=lambda part: part.index[0].start or 0)
    return np.concatenate([np.asarray(part.data) for part in parts])


def is_first() -> bool:
    """Is this the process that writes what all of them know?"""
    return jax.process_index() == 0


def of_first(values: np.ndarray) -> np.ndarray:
    """What the first process has for `values`; the others give any array of that shape and kind."""
    if jax.process_count() == 1:
        return values
    return np.asarray(multihost_utils.broadcast_one_to_all(values)).astype(values.dtype)


@contextlib.contextmanager
def together():
    """Wait for the other processes at the end of the block; what stopped one of them stops all.

    Raises
    ------
    InputError
        Another process stopped; its own error is left to it.
    """
    if jax.process_count() == 1:
        yield
        return
    failure = None
    try:
        yield
    except (InputError, OSError) as error:
        failure = error
    failed = multihost_utils.process_allgather(np.int32(failure is not None))
    if failure is not None:
        raise failure
    if failed.any():
        raise InputError(f"process {int(np.argmax(failed))} stopped: see what it says")


def by_first(work, *args) -> None:
    """Have the first process do `work(*args)`, and the others wait until it is done; as `together` where it fails."""
    with together():
        if is_first():
            work(*args)


def leave(status: int, process: int | None) -> None:
    """End this process at once, whatever the others do: at a regular exit JAX would wait for them for minutes."""
    sys.stdout.flush()
    if process in (0, None):
        time.sleep(2)  # the others are lost without the first, and may have something to say
    os._exit(status)
