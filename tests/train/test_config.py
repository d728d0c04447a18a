import subprocess
import sys

import pytest

from mien.core.config import from_mapping, load_config, to_mapping
from mien.core.errors import ConfigError
from mien.train.config import WATCHING, FitConfig


def test_a_configuration_is_read_from_toml(tmp_path) -> None:
    path = tmp_path / "fit.toml"
    path.write_text('steps = 100\nlr = 0.1\noptimiser = "sgd"\nbetas = [0.8, 0.9]\n')
    config = load_config(FitConfig, path)
    assert config == FitConfig(steps=100, lr=0.1, optimiser="sgd", betas=(0.8, 0.9))
    assert from_mapping(FitConfig, to_mapping(config)) == config


def test_an_unknown_key_is_named_with_its_path() -> None:
    with pytest.raises(ConfigError, match="unknown key 'train.learning_rate'") as caught:
        from_mapping(FitConfig, {"steps": 1, "learning_rate": 0.1}, "train")
    assert caught.value.facts["path"] == "train.learning_rate"


def test_a_value_of_the_wrong_type_is_named_with_its_path() -> None:
    with pytest.raises(ConfigError, match="train.schedule is 'step'.*'cosine'"):
        from_mapping(FitConfig, {"steps": 1, "schedule": "step"}, "train")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("steps", 0),
        ("parts", 0),
        ("seed", -1),
        ("lr", 0.0),
        ("lr", float("nan")),
        ("warmup_steps", 10),
        ("final_lr_ratio", 1.5),
        ("weight_decay", -1.0),
        ("betas", (0.9, 1.0)),
        ("momentum", 1.0),
        ("max_grad_norm", 0.0),
        ("ema_decay", 1.0),
        ("log_every", 0),
        ("validate_every", -1),
        ("checkpoint_every", -1),
    ],
)
def test_a_value_out_of_range_is_refused(key, value) -> None:
    with pytest.raises(ConfigError, match=f"{key} is .*; it must be"):
        FitConfig(**{"steps": 10} | {key: value})


def test_settings_of_watching_are_settings() -> None:
    assert set(FitConfig.__dataclass_fields__) >= WATCHING


def test_recipes_and_orders_are_read_without_torch() -> None:
    code = "import sys, mien.train.config, mien.data.feed; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
