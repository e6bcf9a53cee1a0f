"""SOFA files of every convention: rooms, transfer functions."""

import h5py
import numpy as np
import pytest

from ssl_jax.sounds.sofa import read_sofa
from support.made_sofa import (
    AZIMUTH,
    EXACT,
    FS,
    assert_azimuths,
    cartesian,
    head_responses,
    ring,
    write_sofa,
)
from support.runs import refused_call

AROUND = ring(distance=2.0)
HERE = np.array([[1.0, 2.0, 1.5]])
TURNED = ring(-AZIMUTH % 360)
RESPONSES = head_responses()
ROOMS = {
    "GeneralFIR": {"SourcePosition": AROUND},
    "SingleRoomDRIR": {"SourcePosition": AROUND},
    # a listener who turns
    "SingleRoomSRIR": {
        "SourcePosition": HERE + [2.0, 0.0, 0.0],
        "ListenerPosition": HERE,
        "ListenerView": TURNED,
        "kind": "cartesian",
    },
    # loudspeakers that stand around
    "SingleRoomMIMOSRIR": {
        "SourcePosition": HERE,
        "ListenerPosition": HERE,
        "EmitterPosition": cartesian(AROUND)[..., None],
        "kind": "cartesian",
        "DataType": "FIR-E",
        "Data__IR": np.moveaxis(RESPONSES, 0, -1)[None],
    },
    "MultiSpeakerBRIR": {
        "SourcePosition": np.zeros((1, 3)),
        "EmitterPosition": AROUND[..., None],
        "DataType": "FIRE",
        "Data__IR": np.moveaxis(RESPONSES, 0, 1)[None],
    },
}


@pytest.mark.parametrize("convention", ROOMS)
def test_rooms_of_every_convention_hold_the_same_directions(tmp_path, convention):
    fields = {"Data__IR": RESPONSES, "SOFAConventions": convention} | ROOMS[convention]
    path = write_sofa(tmp_path / "a.sofa", **fields)
    spherical = {"SingleRoomSRIR": "ListenerView", "MultiSpeakerBRIR": "EmitterPosition"}
    if convention in spherical:
        with h5py.File(path, "a") as file:
            file[spherical[convention]].attrs["Type"] = np.bytes_("spherical")
    sofa = read_sofa(path)
    assert_azimuths(sofa)
    np.testing.assert_allclose(sofa.elevation, 0, atol=EXACT)
    np.testing.assert_array_equal(sofa.hrirs, RESPONSES)


def test_a_source_where_the_listener_stands_is_refused(tmp_path):
    path = write_sofa(
        tmp_path / "a.sofa", SOFAConventions="GeneralFIR", SourcePosition=np.zeros((72, 3))
    )
    refused_call(read_sofa, path, says="stands where the listener is")


def transfer_file(path, responses=RESPONSES, first=0, convention="SimpleFreeFieldHRTF", **changes):
    """The same responses as transfer functions, from bin `first` on."""
    spectra = np.fft.rfft(responses)[..., first:]
    frequencies = np.fft.rfftfreq(responses.shape[-1], 1 / FS)[first:]
    fields = {"SOFAConventions": convention, "DataType": "TF", "N": frequencies}
    fields |= {"Data__Real": spectra.real, "Data__Imag": spectra.imag}
    fields |= {"Data__IR": None, "Data__SamplingRate": None, "Data__Delay": None}
    return write_sofa(path, **fields | changes)


@pytest.mark.parametrize("convention", ["SimpleFreeFieldHRTF", "GeneralTF"])
def test_transfer_functions_become_responses(tmp_path, convention):
    sofa = read_sofa(transfer_file(tmp_path / "a.sofa", convention=convention))
    assert sofa.fs == FS
    assert_azimuths(sofa)
    np.testing.assert_allclose(sofa.hrirs, RESPONSES, atol=EXACT)


def test_transfer_functions_without_0_hz_take_the_gain_of_the_next(tmp_path):
    sofa = read_sofa(transfer_file(tmp_path / "a.sofa", first=1))
    spectra = np.fft.rfft(sofa.hrirs)
    np.testing.assert_allclose(spectra[..., 1:-1], np.fft.rfft(RESPONSES)[..., 1:-1], atol=EXACT)
    np.testing.assert_allclose(spectra[..., 0], np.abs(spectra[..., 1]), atol=EXACT)


def test_responses_that_begin_before_time_0_are_not_torn(tmp_path):
    """Phases about the middle of the head: here the nearer ear leads by 8 of 64 samples."""
    long = np.pad(RESPONSES, ((0, 0), (0, 0), (0, 32)))
    sofa = read_sofa(transfer_file(tmp_path / "a.sofa", np.roll(long, -8, axis=-1)))
    np.testing.assert_allclose(sofa.hrirs, np.roll(long, 16 - 8, axis=-1), atol=EXACT)


@pytest.mark.parametrize(
    "frequencies, says",
    [
        (np.geomspace(100, 20_000, 17), "no even grid"),
        (np.linspace(5000, FS / 2, 17), "no even grid"),
        (np.linspace(0, 20_000.3, 17), "not half of a whole rate"),
    ],
)
def test_frequencies_of_another_grid_are_refused(tmp_path, frequencies, says):
    path = transfer_file(tmp_path / "a.sofa", N=frequencies)
    refused_call(read_sofa, path, says=says)
