import tomllib
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path

import pytest

from mien.core.errors import ConfigError, WeightsMissingError
from mien.core.files import sha256_of
from mien.core.weights import WeightCard, all_cards, find_card, parse_cards

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))[
    "project"
]

MINIMAL = """
[toy]
file = "toy.onnx"
sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
size_bytes = 3
task = "t"
architecture = "a"
code_licence = "MIT"
weight_licence = "MIT"
training_data = "d"
training_data_terms = "t"
commercial = "yes"
commercial_reason = "r"
source = "s"
"""


@pytest.mark.parametrize("card", all_cards().values(), ids=lambda card: card.name)
def test_every_card_says_everything(card: WeightCard):
    empty = [field.name for field in fields(card) if not getattr(card, field.name)]
    assert empty in ([], ["extra"])
    assert card.commercial_reason.endswith(".")
    assert card.training_data_terms.endswith(".")


@pytest.mark.parametrize("card", all_cards().values(), ids=lambda card: card.name)
def test_every_card_describes_the_file_that_its_package_carries(card: WeightCard):
    spec = find_spec(card.package)
    if spec is None and card.extra:
        pytest.skip(f"the extra {card.extra} is not installed")
    path = Path(spec.submodule_search_locations[0], card.package_path)
    assert sha256_of(path) == card.sha256
    assert path.stat().st_size == card.size_bytes


@pytest.mark.parametrize("card", all_cards().values(), ids=lambda card: card.name)
def test_every_card_names_the_requirement_that_the_project_states(card: WeightCard):
    stated = PROJECT["optional-dependencies"][card.extra] if card.extra else PROJECT["dependencies"]
    assert card.requirement in stated


def test_the_default_pipeline_and_its_rival_have_cards():
    assert list(all_cards()) == ["yunet", "sface", "dlib_resnet", "dlib_5_points"]


def test_an_unknown_name_lists_the_known():
    with pytest.raises(WeightsMissingError, match=r"'arc'.*yunet, sface"):
        find_card("arc")


def test_a_minimal_card_is_read():
    card = parse_cards(MINIMAL)["toy"]
    assert (card.package, card.urls, card.size_bytes) == (None, (), 3)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('source = "s"', 'sauce = "s"', r"toy\.sauce is unknown"),
        ('source = "s"', "", r"toy\.source is absent"),
        ('source = "s"', 'source = " "', r"toy\.source is ' '"),
        ("size_bytes = 3", "size_bytes = 0", r"toy\.size_bytes is 0"),
        ("size_bytes = 3", "size_bytes = true", r"toy\.size_bytes is True"),
        ('commercial = "yes"', 'commercial = "maybe"', r"toy\.commercial is 'maybe'.*unknown"),
        ('sha256 = "0000', 'sha256 = "ABCD', r"toy\.sha256 is .*lower case"),
        ('file = "toy.onnx"', 'file = "../toy.onnx"', r"toy\.file .*bare file name"),
        ('source = "s"', 'source = "s"\nurls = "u"', r"toy\.urls is 'u'.*list"),
        ('source = "s"', 'source = "s"\npackage = "p"', r"toy\.package is half stated"),
        ('source = "s"', 'source = "s"\npackage_path = "../p"', r"toy\.package_path .*inside"),
        ("[toy]", "toy = 1\n[other]", r"key toy is not a table"),
        ("[toy]", "[toy", r"are not TOML"),
    ],
)
def test_a_faulty_card_is_refused_by_the_path_of_its_key(old: str, new: str, message: str):
    with pytest.raises(ConfigError, match=message):
        parse_cards(MINIMAL.replace(old, new))
