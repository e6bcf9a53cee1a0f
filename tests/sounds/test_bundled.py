"""Names of the package's sounds: each leads to its file, and a wrong one lists them."""

from pathlib import Path

import pytest

from ssl_jax.common.files import package_data
from ssl_jax.sounds.bundled import FOLDERS, bundled_files, bundled_path
from support.runs import refuses

NAMES = {
    "voice:27": "speech/27-123349-0000.ogg",
    "noise:sea_waves": "noise/sea_waves.ogg",
    "head:ku100": "hrtf/ku100.sofa",
}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_leads_to_a_file_of_the_package(name):
    assert bundled_path(Path(name)) == package_data(NAMES[name])


@pytest.mark.parametrize("kind", FOLDERS)
def test_every_file_has_a_name(kind):
    files = set(package_data(FOLDERS[kind]).iterdir())
    assert set(bundled_files(kind).values()) == files


@pytest.mark.parametrize("path", ["voice.wav", "rain", "other:27", "/tmp/voice:27"])
def test_other_paths_stay_as_they_are(path):
    assert bundled_path(Path(path)) == Path(path)


def test_a_wrong_name_lists_those_that_are_there():
    refuses(r"noise:snow: no noise of the package: .* rain, ", bundled_path, Path("noise:snow"))
    refuses(r"voice:: .* one of 27, 32, 60, .* 8975$", bundled_path, Path("voice:"))
