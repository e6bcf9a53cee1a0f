"""Sound from a microphone, as it comes, by the package sounddevice."""

import contextlib
import queue
import threading
from collections.abc import Iterator

import numpy as np

from ssl_jax.common.errors import InputError, error_reason
from ssl_jax.common.progress import say
from ssl_jax.recordings.live import BLOCK_S, IncomingSound
from ssl_jax.sounds.reading import check_rate, ears_needed

# s of sound that may wait: the first start on a machine compiles for up to half a minute
WAITING_S = 60.0
# s; where a wait has no end, Windows lets nobody interrupt it
LOOK_AGAIN_S = 0.5
LISTED = "`python -m sounddevice` lists the devices"


class WaitingBlocks:
    """Blocks between the thread that records and the one that localises."""

    def __init__(self, most: int):
        self.losses = 0  # times that sound was lost
        self._queue: queue.Queue[np.ndarray] = queue.Queue(most)
        self._ended = threading.Event()

    def put(self, block: np.ndarray, frames, time, status) -> None:
        """Take a block, whose memory sounddevice uses again; it may not wait here."""
        if status.input_overflow:
            self.losses += 1
        try:
            self._queue.put_nowait(block.copy())
        except queue.Full:
            self.losses += 1

    def end(self) -> None:
        """Say that no block comes any more."""
        self._ended.set()

    def blocks(self) -> Iterator[np.ndarray]:
        """Blocks in order, as they come, up to the last."""
        while True:
            # what came before the end is in the queue by now
            has_ended = self._ended.is_set()
            try:
                block = self._queue.get(timeout=LOOK_AGAIN_S)
            except queue.Empty:
                if has_ended:
                    return
                continue
            yield block


@contextlib.contextmanager
def open_microphone(device: str | None) -> Iterator[IncomingSound]:
    """Record two channels at the device's own rate while the `with` block lasts.

    Parameters
    ----------
    device : number or part of the name of an input; None is the default one

    Raises
    ------
    InputError
        Where sounddevice is missing, or there is no such device, or it has one channel or is busy.
    """
    sounddevice = _import_sounddevice()
    info = _input_device(sounddevice, device)
    name = info["name"]
    check_rate(name, info["default_samplerate"])
    fs = int(info["default_samplerate"])
    if info["max_input_channels"] < 2:
        raise InputError(f"{name}: {ears_needed(info['max_input_channels'])}: {LISTED}")
    waiting = WaitingBlocks(round(WAITING_S / BLOCK_S))
    try:
        stream = sounddevice.InputStream(
            device=info["index"],
            samplerate=fs,
            blocksize=round(BLOCK_S * fs),
            channels=2,
            dtype="float32",
            callback=waiting.put,
            finished_callback=waiting.end,
        )
        with stream:
            yield IncomingSound(name, fs, _until_unplugged(waiting.blocks(), name))
    except sounddevice.PortAudioError as error:
        raise InputError(f"{name}: cannot record ({error_reason(error)}): {LISTED}") from None
    finally:
        if waiting.losses:
            say(
                f"ssl_jax: note: {name}: sound was lost, {waiting.losses} times: times leave it "
                "out. Use a longer --step, or end other programs"
            )


def _until_unplugged(blocks: Iterator[np.ndarray], name: str) -> Iterator[np.ndarray]:
    yield from blocks
    say(f"ssl_jax: note: {name}: the device stopped: the sound ends here")


def _import_sounddevice():
    try:
        import sounddevice
    except ImportError:
        raise InputError(
            "--mic: the package sounddevice is missing: pip install sounddevice"
        ) from None
    except OSError:
        # the package has PortAudio for Windows and macOS alone
        raise InputError(
            "--mic: the library PortAudio is missing: install it (Debian: libportaudio2)"
        ) from None
    return sounddevice


def _input_device(sounddevice, device: str | None) -> dict:
    """What sounddevice says of an input; see `open_microphone`."""
    number_or_name: int | str | None = device
    if device is not None and device.isdecimal():
        number_or_name = int(device)
    try:
        return sounddevice.query_devices(number_or_name, "input")
    except (ValueError, sounddevice.PortAudioError) as error:
        if device is None:
            raise InputError(f"--mic: no default input ({error}): name one: {LISTED}") from None
        raise InputError(f"--device {device}: not one input ({error}): {LISTED}") from None
