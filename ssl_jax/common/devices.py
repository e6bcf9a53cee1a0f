"""Devices that compute: the same program runs whether they belong to one process or to several."""

import contextlib
import ctypes
import os
import re
import sys
import threading
from pathlib import Path

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from ssl_jax.common.errors import InputError, error_reason

JOIN_SECONDS = 120  # that processes wait for one another at the start
CACHE_BYTES = 2**29  # of compiled programs kept on disk
MAX_DEVICES = 1024  # of one process


def cpu_count() -> int:
    """Cores that this process may use; macOS and Windows tell only how many there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def keep_memory() -> None:
    """Have glibc, where it is, keep freed buffers.

    Touching new pages takes as long as filling them.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):
        mallopt = ctypes.CDLL("libc.so.6").mallopt
        mallopt(-3, 2**30)  # M_MMAP_THRESHOLD, bytes
        mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD, bytes


def keep_compiled() -> None:
    """Keep compiled programs for the next start, where the user's cache folder can be written."""
    if os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        return
    with contextlib.suppress(OSError, RuntimeError):  # the latter where there is no home folder
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ssl_jax"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".writable").touch()
        programs = [path for path in folder.iterdir() if path.is_file()]
        if sum(path.stat().st_size for path in programs) > CACHE_BYTES:
            # start anew: JAX's own bound looks at every file for each that it adds
            for path in programs:
                path.unlink(missing_ok=True)
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)


def start(
    devices: int | None = None,
    coordinator: str | None = None,
    processes: int | None = None,
    process: int | None = None,
) -> None:
    """Make CPU devices and join the other processes, before JAX is used.

    Parameters
    ----------
    devices : of this process, one a core unless given
    coordinator : HOST:PORT of process 0, or auto; None where there is one process only
    processes : how many there are
    process : which of them this is, from 0

    Raises
    ------
    InputError
        For numbers that make no sense, or where the processes do not find one another.
    """
    if devices is not None and not 1 <= devices <= MAX_DEVICES:
        raise InputError(f"--devices {devices}: out of range: use 1 to {MAX_DEVICES}")
    with contextlib.suppress(RuntimeError):  # already initialised: leave the devices as they are
        jax.config.update("jax_num_cpu_devices", devices or cpu_count())
    if coordinator is not None:
        check_coordinator(coordinator, processes, process)
        if not jax.distributed.is_initialized():
            join_processes(coordinator, processes, process)
    elif processes is not None or process is not None:
        raise InputError("--processes and --process: need --coordinator HOST:PORT, of process 0")


def check_coordinator(coordinator: str, processes: int | None, process: int | None) -> None:
    """Raise InputError where an address or numbers of processes make no sense."""
    if coordinator == "auto":  # JAX asks the cluster
        return
    if not re.fullmatch(r".+:\d{1,5}", coordinator):
        raise InputError(
            f"--coordinator {coordinator}: not HOST:PORT: give the address of process 0"
        )
    if processes is None or process is None or not 0 <= process < processes:
        raise InputError(
            f"--coordinator {coordinator}: needs --processes N, and --process 0 to N - 1"
        )


def join_processes(coordinator: str, processes: int | None, process: int | None) -> None:
    """Join the other processes; InputError where they are not found in time, or are unlike."""
    # that service would make a process ignore SIGTERM
    jax.config.update("jax_enable_preemption_service", val=False)
    failed = f"--coordinator {coordinator}: the processes did not find one another"
    remedy = "start all of them, with the address of process 0"

    def give_up():
        print(f"ssl_jax: {failed} in {JOIN_SECONDS} s: {remedy}", file=sys.stderr, flush=True)
        os._exit(2)

    waiting = threading.Timer(JOIN_SECONDS, give_up)  # JAX itself would abort
    waiting.start()
    address = None if coordinator == "auto" else coordinator
    try:
        jax.distributed.initialize(
            address, processes, process, initialization_timeout=JOIN_SECONDS + 60
        )
    except (RuntimeError, ValueError) as error:
        raise InputError(f"{failed} ({error_reason(error)[:200]}): {remedy}") from None
    finally:
        waiting.cancel()
    owners = [device.process_index for device in jax.devices()]
    counts = np.bincount(owners, minlength=jax.process_count())
    if len(set(counts)) > 1:
        raise InputError(
            f"processes have {counts} devices: make them alike: --devices, CUDA_VISIBLE_DEVICES"
        )


def require_backend() -> None:
    """Raise InputError where JAX has no device to compute on."""
    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:
        asked = os.environ.get("JAX_PLATFORMS") or "(not set)"
        raise InputError(
            f"JAX_PLATFORMS={asked}: JAX has no such device here ({error_reason(error)[:200]}): "
            "unset it, or set it to cpu"
        ) from None


def mesh_of(devices) -> Mesh:
    """Devices along one axis named "data"."""
    return Mesh(np.array(devices), ("data",), axis_types=(AxisType.Auto,))


def data_mesh(each: int | None = None) -> Mesh:
    """The devices of all processes, or the first `each` of every process."""
    devices = []
    for process in range(jax.process_count()):
        devices += jax.local_devices(process)[:each]
    return mesh_of(devices)


def copy_on_each(mesh: Mesh) -> NamedSharding:
    """A copy on every device."""
    return NamedSharding(mesh, PartitionSpec())


def split_rows(mesh: Mesh) -> NamedSharding:
    """The first axis divided among the devices."""
    return NamedSharding(mesh, PartitionSpec("data"))


def to_devices(arrays, sharding: NamedSharding):
    """Put a tree of arrays, of each process its share, on devices.

    Unlike `device_put` it asks no other process.
    """

    def put(array):
        is_array = isinstance(array, jax.Array)
        # keys of random numbers are no plain array
        if is_array and jax.dtypes.issubdtype(array.dtype, jax.dtypes.prng_key):
            return jax.random.wrap_key_data(put(jax.random.key_data(array)))
        return jax.make_array_from_process_local_data(sharding, np.asarray(array))

    return jax.tree.map(put, arrays)


def local_rows(mesh: Mesh, count: int) -> slice:
    """Which of `count` rows, shared out among the devices, this process holds."""
    is_local = [device.process_index == jax.process_index() for device in mesh.devices.flat]
    first = is_local.index(True)
    rows_per_device = count // mesh.size
    return slice(first * rows_per_device, (first + sum(is_local)) * rows_per_device)


def is_main_process() -> bool:
    """Is this the process that writes what all of them know?"""
    return jax.process_index() == 0


def broadcast_from_first(values: np.ndarray) -> np.ndarray:
    """The first process's `values`; the others give any array of that shape and dtype."""
    return np.asarray(multihost_utils.broadcast_one_to_all(values)).astype(values.dtype)


@contextlib.contextmanager
def barrier():
    """Wait for the other processes at the end of the block.

    An error in one raises InputError in all.
    """
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


def by_main_process(work, *args) -> None:
    """Have the main process do `work(*args)` while the others wait; raises as `barrier` does."""
    with barrier():
        if is_main_process():
            work(*args)
