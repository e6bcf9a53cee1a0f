"""Sound from a microphone: the lines of a pipe, from whatever sounddevice delivers or refuses.

No test machine has a microphone: `FakeSounddevice` stands in for the package.
"""

import sys
import threading
from types import SimpleNamespace

import numpy as np
import pytest

from ssl_jax.recordings import microphone
from ssl_jax.recordings.microphone import WaitingBlocks, open_microphone
from support.runs import refused, refuses

FS = 48_000
NAME = "Binaural USB"
FINE = SimpleNamespace(input_overflow=False)
OVERFLOW = SimpleNamespace(input_overflow=True)


class FakeSounddevice:
    """What of the package the code uses: one device, which plays `sound` (samples, 2) once."""

    class PortAudioError(Exception):
        """As sounddevice has it."""

    def __init__(self, sound, channels=2, status=FINE):
        self.sound = sound
        self.status = status
        self.device = {
            "name": NAME,
            "index": 3,
            "max_input_channels": channels,
            "default_samplerate": float(FS),
        }
        self.asked = []  # for devices
        self.settings = None  # of the stream
        self.InputStream = self.open_stream

    def query_devices(self, device, kind):
        self.asked.append((device, kind))
        if device in (None, 3, "usb"):
            return self.device
        raise ValueError(f"No {kind} device matching {device!r}")

    def open_stream(self, **settings):
        self.settings = settings
        return FakeStream(self.sound, self.status, settings)


class FakeStream:
    """Calls back from a thread of its own, with one buffer for all blocks, as PortAudio does."""

    def __init__(self, sound, status, settings):
        self.sound = sound
        self.status = status
        self.settings = settings
        self.thread = threading.Thread(target=self.record)

    def record(self):
        size = self.settings["blocksize"]
        buffer = np.empty((size, 2), np.float32)
        for start in range(0, len(self.sound) - size + 1, size):
            buffer[:] = self.sound[start : start + size]
            self.settings["callback"](buffer, size, None, self.status)
        buffer[:] = np.nan
        self.settings["finished_callback"]()

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.thread.join()


@pytest.fixture
def plug_in(monkeypatch):
    """Puts a fake sounddevice where the code imports it."""
    monkeypatch.setattr(microphone, "LOOK_AGAIN_S", 0.01)

    def put(module):
        monkeypatch.setitem(sys.modules, "sounddevice", module)
        return module

    return put


@pytest.fixture(scope="module")
def sound():
    return np.random.default_rng(2).uniform(-0.5, 0.5, (2 * FS, 2)).astype(np.float32)


def recorded(device=None):
    """All that the microphone gives."""
    with open_microphone(device) as incoming:
        return incoming, np.concatenate(list(incoming.blocks))


def test_what_the_device_records_comes_in_order_at_its_own_rate(plug_in, sound):
    fake = plug_in(FakeSounddevice(sound))
    incoming, blocks = recorded()
    assert (incoming.name, incoming.fs) == (NAME, FS)
    np.testing.assert_array_equal(blocks, sound)
    settings = fake.settings
    wanted = (3, FS, 2, "float32")
    assert wanted == tuple(settings[k] for k in ("device", "samplerate", "channels", "dtype"))


@pytest.mark.parametrize("device, asked", [(None, None), ("3", 3), ("usb", "usb")])
def test_a_device_goes_by_name_or_number(plug_in, sound, device, asked):
    fake = plug_in(FakeSounddevice(sound))
    recorded(device)
    assert fake.asked == [(asked, "input")]


def test_the_command_prints_the_lines_of_a_pipe(plug_in, at_60, tmp_path, call):
    fake = plug_in(FakeSounddevice(at_60))
    fake.device["default_samplerate"] = 44_100.0
    ended = call("localise", "--mic", "--step=0.5", "--csv=a.csv")
    stopped = f"ssl_jax: note: {NAME}: the device stopped: the sound ends here"
    assert (ended.status, ended.lines) == (0, [stopped])
    first, _, *lines, last = ended.out.splitlines()
    assert first.startswith(f"{NAME}: as it comes at 44100 Hz")
    assert [line.split()[0] for line in lines] == ["0.50", "1.00", "1.50"]
    azimuth = float(last.split()[1].rstrip("°,"))
    assert abs(azimuth - 60) < 5  # one class
    assert (tmp_path / "a.csv").read_text().splitlines()[1].startswith(f"{NAME},0.500,")


def test_sound_that_the_device_lost_is_noted(plug_in, sound, capsys):
    plug_in(FakeSounddevice(sound[:FS], status=OVERFLOW))
    recorded()
    assert f"note: {NAME}: sound was lost, 10 times" in capsys.readouterr().err


def test_a_full_queue_drops_what_comes_and_counts_it():
    waiting = WaitingBlocks(most=2)
    for number in range(5):
        waiting.put(np.full((1, 2), number), 1, None, FINE)
    waiting.end()
    assert [int(block[0, 0]) for block in waiting.blocks()] == [0, 1]
    assert waiting.losses == 3


def refuse_to_open(**_):
    raise FakeSounddevice.PortAudioError("Device unavailable [PaErrorCode -9985]")


def test_a_device_that_is_busy_is_one_line(plug_in, sound):
    plug_in(FakeSounddevice(sound)).InputStream = refuse_to_open
    refuses(f"^{NAME}: cannot record .Device unavailable.*lists the devices", recorded)


def test_a_device_with_one_channel_is_refused(plug_in, sound):
    plug_in(FakeSounddevice(sound, channels=1))
    refuses(f"^{NAME}: has 1 channel: two ears are needed", recorded)


def test_a_device_that_is_not_there_is_named(plug_in, sound):
    plug_in(FakeSounddevice(sound))
    refuses("^--device sofa: not one input .No input device matching 'sofa'", recorded, "sofa")


def no_default(*_):
    raise FakeSounddevice.PortAudioError("Error querying device -1")


def test_a_machine_without_an_input_says_so(plug_in, sound):
    plug_in(FakeSounddevice(sound)).query_devices = no_default
    refuses("^--mic: no default input", recorded)


def test_without_the_package_one_line_names_the_extra(plug_in, call):
    plug_in(None)
    ended = call("localise", "--mic")
    refused(ended, "sounddevice is missing: pip install sounddevice")
    assert len(ended.lines) == 1


def test_without_the_library_one_line_names_it(monkeypatch):
    """The package is there; what it loads is not."""

    class NoLibrary:
        def find_spec(self, name, *_):
            if name == "sounddevice":
                raise OSError("PortAudio library not found")

    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(sys, "meta_path", [NoLibrary(), *sys.meta_path])
    refuses("^--mic: the library PortAudio is missing", recorded)
