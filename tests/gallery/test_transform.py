import dataclasses
import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.core.errors import ConfigError, ContractError, RangeError, ShapeError
from mien.gallery.search import open_search
from mien.gallery.transform import MAX_DIM, TemplateTransform
from references import rotation as reference

SECRET = bytes(range(32))
OTHER = bytes(range(1, 33))
# Drawn anew, every transformed table in every search server would have to be.
GOLDEN_ID = "rotation-0afd004775b64635"
GOLDEN_MATRIX = "c9587457b669d88a8c309c849aa394c20b5a423a357460a5df2eec4354bce175"
GOLDEN_ROWS = [
    [-0.6984101, 0.6796446, 0.2242913],
    [0.4261729, 0.6466991, -0.6325796],
    [0.5749782, 0.346213, 0.7413073],
]

quickly = settings(max_examples=40, deadline=None)
secrets = st.binary(min_size=32, max_size=32)
dims = st.integers(2, 24)


def unit_rows(n, dim, seed=0):
    rows = np.random.default_rng(seed).standard_normal((n, dim))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def products(a, b):
    return a.astype(np.float64) @ b.astype(np.float64).T


@pytest.fixture(scope="module")
def transform():
    return TemplateTransform.from_secret(SECRET)


def test_a_secret_gives_the_same_transform_for_ever(transform):
    little_endian = transform.matrix.astype("<f8").tobytes()
    assert hashlib.sha256(little_endian).hexdigest() == GOLDEN_MATRIX
    assert transform.id == GOLDEN_ID


@settings(max_examples=15, deadline=None)
@given(secrets, st.integers(2, 12))
def test_plain_python_floats_give_the_same_bits(secret, dim):
    found = TemplateTransform.from_secret(secret, dim)
    assert found.matrix.tolist() == reference.rotation(secret, dim)
    assert found.id == reference.name(secret, dim)


def test_a_transformed_template_keeps_its_golden_values():
    turned = TemplateTransform.from_secret(SECRET, dim=3).apply(np.eye(3, dtype=np.float32))
    assert turned == pytest.approx(np.array(GOLDEN_ROWS), abs=1e-6)


def test_the_numbers_do_not_pass_through_the_platforms_libm_or_lapack(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("its last bit depends on the machine")

    for name in ("qr", "svd", "norm", "solve"):
        monkeypatch.setattr(np.linalg, name, refuse)
    for name in ("log", "cos", "sin", "dot", "matmul", "einsum"):
        monkeypatch.setattr(np, name, refuse)
    TemplateTransform.from_secret(SECRET, dim=8)


@quickly
@given(secrets, dims)
def test_the_matrix_is_orthogonal(secret, dim):
    matrix = TemplateTransform.from_secret(secret, dim).matrix
    assert np.abs(matrix @ matrix.T - np.eye(dim)).max() < 1e-14


@quickly
@given(secrets, dims, st.integers(0, 2**32 - 1))
def test_cosines_and_lengths_stay(secret, dim, seed):
    rows = unit_rows(6, dim, seed)
    turned = TemplateTransform.from_secret(secret, dim).apply(rows)
    assert turned.dtype == np.float32
    assert turned.shape == rows.shape
    assert np.abs(products(turned, turned) - products(rows, rows)).max() < 1e-6
    assert np.linalg.norm(turned, axis=1) == pytest.approx(1, abs=1e-6)


@quickly
@given(secrets, secrets)
def test_two_secrets_have_two_ids_and_two_rotations(one, two):
    first, second = (TemplateTransform.from_secret(s, 4) for s in (one, two))
    assert (first.id == second.id) == (one == two)
    assert np.array_equal(first.matrix, second.matrix) == (one == two)


def test_secrets_that_differ_in_one_bit_have_nothing_in_common(transform):
    near = TemplateTransform.from_secret(bytes([SECRET[0] ^ 1]) + SECRET[1:])
    rows = unit_rows(2000, 128)
    cosines = np.einsum("ij,ij->i", transform.apply(rows), near.apply(rows))
    assert abs(cosines.mean()) < 0.03  # trace of an orthogonal matrix / 128: deviation 1/128
    assert cosines.std() == pytest.approx(1 / np.sqrt(128), rel=0.1)


def test_a_turned_template_has_nothing_in_common_with_the_original(transform):
    rows = unit_rows(2000, 128)
    cosines = np.einsum("ij,ij->i", transform.apply(rows), rows)
    assert abs(cosines.mean()) < 0.03
    assert np.abs(cosines).max() < 0.5


def test_the_dims_of_one_secret_have_different_ids_and_no_common_part():
    four, five = (TemplateTransform.from_secret(SECRET, dim) for dim in (4, 5))
    assert four.id != five.id
    assert not np.isclose(four.matrix, five.matrix[:4, :4]).any()


def test_rotations_are_spread_evenly_over_all_directions():
    first = np.array(
        [
            TemplateTransform.from_secret(bytes([k // 256, k % 256] * 16), 3).matrix
            for k in range(900)
        ]
    )
    assert np.abs(first.mean(axis=0)).max() < 0.08  # four deviations of 1/√(3·900)
    assert (first**2).mean(axis=0) == pytest.approx(np.full((3, 3), 1 / 3), abs=0.045)
    assert np.mean(np.linalg.det(first) > 0) == pytest.approx(0.5, abs=0.07)


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_the_exact_search_finds_the_same_rows(transform, precision):
    rows, queries = unit_rows(500, 128), unit_rows(20, 128, seed=1)
    plain, scores = open_search(rows, precision).search(queries, 5)
    found, turned = open_search(transform.apply(rows), precision).search(
        transform.apply(queries), 5
    )
    assert np.array_equal(found, plain)
    assert turned == pytest.approx(scores, abs=1e-6)


def test_no_template_is_no_fault(transform):
    assert transform.apply(np.empty((0, 128), np.float32)).shape == (0, 128)


def test_the_originals_are_left_alone(transform):
    rows = unit_rows(3, 128)
    before = rows.copy()
    transform.apply(rows)
    assert np.array_equal(rows, before)


def test_the_contract_of_turned_templates_is_one_of_its_own(transform):
    other = TemplateTransform.from_secret(OTHER)
    names = {
        "sface-128-0123",
        transform.contract("sface-128-0123"),
        other.contract("sface-128-0123"),
    }
    assert len(names) == 3
    assert transform.contract("sface-128-0123") == f"sface-128-0123+{GOLDEN_ID}"


def test_nothing_is_turned_twice(transform):
    with pytest.raises(ContractError, match="transformed once"):
        transform.contract(transform.contract("sface-128-0123"))


def test_neither_secret_nor_matrix_is_shown(transform):
    assert repr(transform) == f"TemplateTransform(id='{GOLDEN_ID}', dim=128)"
    assert {f.name for f in dataclasses.fields(transform)} == {"id", "dim", "matrix"}


def test_a_transform_does_not_change(transform):
    with pytest.raises(dataclasses.FrozenInstanceError):
        transform.dim = 64
    with pytest.raises(ValueError, match="read-only"):
        transform.matrix[0, 0] = 1


@pytest.mark.parametrize("secret", [b"", bytes(31), bytes(33), "0" * 32, bytearray(32), None])
def test_a_secret_is_32_bytes_and_never_repeated_in_an_error(secret):
    with pytest.raises(ConfigError, match="derived from 32 random bytes") as caught:
        TemplateTransform.from_secret(secret)
    assert "0000" not in str(caught.value)


@pytest.mark.parametrize("dim", [-1, 0, 1, MAX_DIM + 1])
def test_the_length_of_a_template_has_its_range(dim):
    with pytest.raises(RangeError, match=f"dim is {dim}"):
        TemplateTransform.from_secret(SECRET, dim)


@pytest.mark.parametrize(
    "templates",
    [unit_rows(2, 127), unit_rows(2, 129), unit_rows(1, 128)[0], unit_rows(2, 128).astype(float)],
)
def test_other_shapes_and_types_are_refused(transform, templates):
    with pytest.raises(ShapeError, match="float32 templates of 128 numbers"):
        transform.apply(templates)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3.0])
def test_templates_are_finite_and_of_length_one(transform, value):
    rows = unit_rows(3, 128)
    rows[1, 5] = value
    with pytest.raises(RangeError, match="template 1 has length"):
        transform.apply(rows)
