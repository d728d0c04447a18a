"""Settings are checked when they are made, and careful unless told otherwise."""

import dataclasses
from pathlib import Path

import pytest

from mien.core.config import load_config
from mien.core.errors import ConfigError
from mien.server.settings import _RANGES, ServerSettings


def test_the_defaults_are_the_careful_ones():
    settings = ServerSettings()
    assert settings.is_local
    assert not settings.allow_fetch
    assert not settings.trusted_proxy
    assert settings.keep_sightings_days == 0


def test_settings_come_from_a_toml_file(tmp_path):
    file = tmp_path / "server.toml"
    file.write_text(
        'data_folder = "faces"\nport = 9000\nallow_fetch = true\n'
        'fetch_allow_hosts = ["photos.example", ".example.org"]\n'
    )
    settings = load_config(ServerSettings, file)
    assert settings.data_folder == Path("faces")
    assert (settings.port, settings.allow_fetch) == (9000, True)
    assert settings.fetch_allow_hosts == ("photos.example", ".example.org")


def test_an_unknown_key_in_the_file_is_refused(tmp_path):
    file = tmp_path / "server.toml"
    file.write_text("authentication = false\n")
    with pytest.raises(ConfigError, match="unknown key 'authentication'"):
        load_config(ServerSettings, file)


def test_every_number_has_a_range():
    numbers = {
        f.name
        for f in dataclasses.fields(ServerSettings)
        if f.type in {int, float} or f.type in {"int", "float"}
    }
    assert numbers == set(_RANGES)


@pytest.mark.parametrize("name", list(_RANGES))
def test_a_number_beyond_its_range_is_refused_by_name(name):
    low, high = _RANGES[name]
    for value in (low - 1, high + 1, float("nan"), float("inf")):
        with pytest.raises(ConfigError, match=f"{name} is "):
            ServerSettings(**{name: value})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"host": ""}, "host is ''"),
        ({"host": "http://0.0.0.0"}, "it must be an address or a name"),
        ({"workers": 0}, "threads is 0"),
        ({"max_bodies_bytes": 2**20}, "not even one request of max_body_bytes"),
        ({"fetch_allow_hosts": ("a.example",)}, "nothing is fetched unless allow_fetch"),
        ({"allow_fetch": True, "fetch_allow_hosts": ("https://a",)}, "without scheme, port"),
        ({"allow_fetch": True, "fetch_allow_hosts": ("*.a",)}, "asterisk"),
        ({"allow_fetch": True, "fetch_allow_hosts": ("A.example",)}, "lower case"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes, words):
    with pytest.raises(ConfigError, match=words):
        ServerSettings(**changes)


def test_only_loopback_counts_as_local():
    assert ServerSettings(host="::1").is_local
    assert not ServerSettings(host="0.0.0.0").is_local


def test_pictures_are_bounded_by_the_settings():
    limits = ServerSettings(max_body_bytes=2048, max_pixels=4096).image_limits
    assert (limits.max_bytes, limits.max_pixels) == (2048, 4096)
