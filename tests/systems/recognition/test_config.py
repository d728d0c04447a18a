import subprocess
import sys

import pytest

from mien.core.config import from_mapping, to_mapping
from mien.core.errors import ConfigError
from mien.systems.recognition.config import EmbedderConfig


@pytest.mark.parametrize("preset", ["tiny", "small", "paper"])
def test_presets_survive_a_file(preset):
    config = getattr(EmbedderConfig, preset)()
    assert from_mapping(EmbedderConfig, to_mapping(config)) == config


def test_the_default_is_the_papers():
    assert EmbedderConfig() == EmbedderConfig.paper()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"input_px": 100}, "input_px is 100; the network halves the crop four times"),
        ({"embedding_dim": 0}, "embedding_dim is 0; it is the length of a template"),
        ({"width": 0.0}, "width is 0.0 for the layers 'paper'"),
        ({"width": 0.5, "layers": "tiny"}, "width is 0.5 for the layers 'tiny'"),
    ],
)
def test_settings_that_make_no_network_are_refused(options, words):
    with pytest.raises(ConfigError, match=words) as caught:
        EmbedderConfig(**options)
    assert caught.value.facts["path"] in options


def test_an_unknown_kind_of_layers_is_refused_in_a_file():
    with pytest.raises(ConfigError, match="one of 'paper', 'tiny'"):
        from_mapping(EmbedderConfig, {"layers": "huge"})


def test_the_system_its_card_and_its_config_need_no_torch():
    code = (
        "import sys, mien.systems.recognition, mien.systems.recognition.card;"
        "import mien.systems.recognition.config; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
