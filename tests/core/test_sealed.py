"""Sealed files: what was written comes back, and nothing else ever does."""

import hashlib
import json
import stat
import tracemalloc

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mien.core import _seal_header, sealed
from mien.core.errors import (
    ConfigError,
    IntegrityError,
    MienError,
    MissingError,
    RangeError,
    RefusedError,
    StorageError,
)
from mien.core.sealed import (
    Passphrase,
    SealKey,
    fingerprint_of,
    read_header,
    read_sealed,
    write_sealed,
)

KEY = SealKey(bytes(range(32)))
SIGNER = Ed25519PrivateKey.from_private_bytes(bytes(32))
FINGERPRINT = fingerprint_of(SIGNER.public_key())
CONTENT = b"The quick brown fox jumps over the lazy dog. " * 3  # 135 bytes
CHUNK = 32
FULL = CHUNK + 16


def seal(path, pieces=(CONTENT,), **changes):
    settings_ = {"purpose": "test", "public": {"faces": 3}, "secret": KEY, "signer": SIGNER}
    return write_sealed(path, pieces, **{"chunk_bytes": CHUNK} | settings_ | changes)


def unseal(path, **changes):
    wanted = {"purpose": "test", "secret": KEY, "expected_signer": FINGERPRINT}
    return b"".join(read_sealed(path, **wanted | changes))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "bundle.sealed"


@pytest.fixture
def whole(path):
    seal(path)
    return path.read_bytes()


def parts(data):
    """Header bytes, sealed chunks and signature."""
    start = 14 + int.from_bytes(data[10:14], "big")
    body = data[start:-64]
    return data[:start], [body[k : k + FULL] for k in range(0, len(body), FULL)], data[-64:]


def signed(header, chunks, signer=SIGNER):
    """A file that says what it likes, with a signature that is right."""
    before = header + b"".join(chunks)
    return before + signer.sign(b"MIENSEAL1\n" + hashlib.sha512(before).digest())


def with_header(data, **changes):
    head, chunks, _ = parts(data)
    values = json.loads(head[14:]) | changes
    text = json.dumps(values, sort_keys=True, separators=(",", ":")).encode()
    return signed(b"MIENSEAL1\n" + len(text).to_bytes(4, "big") + text, chunks)


def assert_refused(path, data, kinds=IntegrityError, match=None, **changes):
    path.write_bytes(data)
    reading = read_sealed(
        path, **{"purpose": "test", "secret": KEY, "expected_signer": FINGERPRINT} | changes
    )
    with pytest.raises(kinds, match=match):
        next(reading)  # the very first piece


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(pieces=st.lists(st.binary(max_size=200), max_size=6), chunk=st.integers(1, 100))
def test_what_was_written_comes_back(tmp_path, pieces, chunk):
    path = tmp_path / "x"
    header = seal(path, pieces, chunk_bytes=chunk)
    assert unseal(path) == b"".join(pieces)
    assert read_header(path) == header


@pytest.mark.parametrize("length", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 1])
def test_chunks_are_as_few_as_can_be(path, length):
    seal(path, [b"x" * length])
    assert len(parts(path.read_bytes())[1]) == max(1, -(-length // CHUNK))
    assert unseal(path) == b"x" * length


def test_a_passphrase_opens_what_it_sealed(path):
    secret = Passphrase("correct horse battery stapl\u00e9")
    header = seal(path, secret=secret)
    assert (header.kdf.name, header.kdf.n, header.kdf.r, header.kdf.p) == ("scrypt", 2**15, 8, 1)
    assert unseal(path, secret=Passphrase("correct horse battery staple\u0301")) == CONTENT
    with pytest.raises(RefusedError, match="secret does not open.*undamaged"):
        unseal(path, secret=Passphrase("correct horse battery staple"))


def test_the_header_is_read_without_a_secret(path):
    seal(path, public={"contract": "abc", "faces": 7})
    header = read_header(path)
    assert header.public == {"contract": "abc", "faces": 7}
    assert (header.purpose, header.kdf.id) == ("test", KEY.id)
    assert header.signer.fingerprint == FINGERPRINT


def test_nothing_of_content_or_secret_is_in_the_clear(path):
    seal(path)
    data = path.read_bytes()
    assert CONTENT[:8] not in data
    assert KEY.data[:8] not in data
    assert "0102" not in repr(KEY)
    assert "horse" not in repr(Passphrase("horse horse horse"))


def test_every_file_has_a_key_of_its_own(path, tmp_path):
    seal(path)
    seal(tmp_path / "again")
    first, second = parts(path.read_bytes())[1], parts((tmp_path / "again").read_bytes())[1]
    assert not set(first) & set(second)


def test_only_the_owner_may_read_it(path):
    seal(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_failing_source_leaves_the_old_file(path):
    def pieces():
        yield b"x" * 1000
        raise ZeroDivisionError

    seal(path)
    with pytest.raises(ZeroDivisionError):
        seal(path, pieces())
    assert unseal(path) == CONTENT
    assert len(list(path.parent.iterdir())) == 1


def test_memory_does_not_grow_with_the_content(path):
    piece = bytes(2**16)
    tracemalloc.start()
    seal(path, (piece for _ in range(128)), chunk_bytes=2**14)  # 8 MiB
    total = sum(len(p) for p in read_sealed(path, purpose="test", secret=KEY, expected_signer=None))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == 2**23
    assert peak < 2**20


def test_every_flip_of_every_bit_is_refused(path, whole):
    for place in range(len(whole)):
        for bit in range(8):
            changed = bytearray(whole)
            changed[place] ^= 1 << bit
            assert_refused(path, changed)


def test_every_shorter_file_is_refused(path, whole):
    for length in range(len(whole)):
        assert_refused(path, whole[:length])


def test_bytes_behind_the_end_are_refused(path, whole):
    for more in (b"\0", b"x" * FULL, whole[-64:], whole):
        assert_refused(path, whole + more)


@pytest.mark.parametrize(
    "arrange",
    [
        lambda c: [c[1], c[0], *c[2:]],
        lambda c: [c[0], *c],
        lambda c: c[:-1],
        lambda c: c[1:],
        lambda c: [*c[:-1], c[0], c[-1]],
        lambda c: [*c, b""],
        lambda c: [],
        lambda c: [*c[:-1], c[-1][:8]],
    ],
    ids=["swapped", "doubled", "last cut", "first cut", "inserted", "same", "none", "stump"],
)
def test_chunks_out_of_place_are_refused_even_with_a_right_signature(path, whole, arrange):
    head, chunks, _ = parts(whole)
    moved = arrange(chunks)
    if b"".join(moved) == b"".join(chunks):
        path.write_bytes(signed(head, moved))
        assert unseal(path) == CONTENT
    else:
        assert_refused(path, signed(head, moved), match="chunk does not belong|cut off")


def test_chunks_of_two_files_do_not_mix(path, tmp_path, whole):
    seal(tmp_path / "other", [b"y" * len(CONTENT)])
    other = (tmp_path / "other").read_bytes()
    (head, chunks, _), (their_head, theirs, _) = parts(whole), parts(other)
    for k in range(len(chunks)):
        mixed = [*chunks[:k], theirs[k], *chunks[k + 1 :]]
        assert_refused(path, signed(head, mixed), match="chunk does not belong")
    assert_refused(path, signed(their_head, chunks), match="chunk does not belong")


def test_a_header_changed_and_signed_anew_does_not_fit_the_chunks(path, whole):
    for changes in ({"public": {"faces": 4}}, {"created": "2001-01-01"}, {"chunk_bytes": 33}):
        assert_refused(path, with_header(whole, **changes), match="chunk does not belong")
    assert_refused(path, with_header(whole, purpose="else"), match="sealed for 'else'")
    assert_refused(
        path, with_header(whole, purpose="else"), RefusedError, purpose="else"
    )  # the purpose goes into the key


def test_a_wrong_secret_is_told_from_damage(path, whole):
    assert_refused(path, whole, RefusedError, "another one.*undamaged", secret=SealKey(bytes(32)))
    assert_refused(path, whole, ConfigError, "sealed with a key", secret=Passphrase("a" * 12))
    broken = whole[:-1] + bytes([whole[-1] ^ 1])
    assert_refused(
        path, broken, IntegrityError, "not those that were signed", secret=SealKey(bytes(32))
    )


def test_a_passphrase_is_asked_for_where_one_was_used(path):
    seal(path, secret=Passphrase("a" * 12))
    with pytest.raises(ConfigError, match="sealed with a passphrase"):
        unseal(path)


def test_another_signer_is_refused_unless_anybody_is_trusted(path):
    seal(path, signer=Ed25519PrivateKey.from_private_bytes(bytes([1] * 32)))
    with pytest.raises(IntegrityError, match=f"signed by .*only {FINGERPRINT} is trusted"):
        unseal(path)
    assert unseal(path, expected_signer=None) == CONTENT


def test_a_fingerprint_that_is_not_the_keys_is_refused(path, whole):
    head = json.loads(parts(whole)[0][14:])
    faked = head["signer"] | {"fingerprint": "0" * 64}
    assert_refused(path, with_header(whole, signer=faked), match="fingerprint in it is not")


SCRYPT = {"name": "scrypt", "n": 2**15, "r": 8, "p": 1, "salt": "A" * 22 + "=="}


@pytest.mark.parametrize(
    "changes",
    [
        {"kdf": SCRYPT | {"n": 2**30}},
        {"kdf": SCRYPT | {"n": 2**15 + 1}},
        {"kdf": SCRYPT | {"n": 1}},
        {"kdf": SCRYPT | {"n": -4}},
        {"kdf": SCRYPT | {"r": 10**9}},
        {"kdf": SCRYPT | {"p": 10**6}},
        {"kdf": SCRYPT | {"p": 0}},
        {"kdf": SCRYPT | {"salt": "AA=="}},
        {"kdf": SCRYPT | {"n": 32768.0}},
        {"kdf": {"name": "none"}},
        {"kdf": None},
        {"chunk_bytes": 0},
        {"chunk_bytes": -1},
        {"chunk_bytes": 2**40},
        {"chunk_bytes": True},
        {"version": 2},
        {"version": None},
        {"salt": "x"},
        {"salt": "\ud800"},
        {"check": ""},
        {"signer": {"public_key": "A", "fingerprint": "b"}},
        {"signer": []},
        {"public": [1]},
        {"extra": 1},
    ],
    ids=repr,
)
def test_hostile_headers_cost_nothing(path, whole, changes, monkeypatch):
    monkeypatch.setattr(sealed, "Scrypt", None)  # must not be reached
    assert_refused(
        path, with_header(whole, **changes), match="header is not one", secret=Passphrase("a" * 12)
    )
    with pytest.raises(IntegrityError, match="not an intact sealed file.*header is not one"):
        read_header(path)


@pytest.mark.parametrize(
    "text",
    [
        b"", b"{}", b"[]", b"null", b"\xff", b"[" * 60_000, b'{"a":' * 12_000, b"1" * 5000,
        b'{"version":NaN}', b'{"version":1e999}', b'{ "version":1}', b'{"version":1,"version":1}',
    ],
    ids=lambda text: repr(text[:20]),
)  # fmt: skip
def test_headers_that_are_no_canonical_json_are_refused(path, text):
    assert_refused(path, signed(b"MIENSEAL1\n" + len(text).to_bytes(4, "big") + text, [b"x" * 16]))


def test_a_header_that_claims_to_be_huge_is_not_read(path):
    assert_refused(path, b"MIENSEAL1\n\xff\xff\xff\xff{", match="claims 4294967295 bytes")


def test_a_header_without_base64_in_its_one_spelling_is_refused(path, whole):
    salt = json.loads(parts(whole)[0][14:])["salt"]
    loose = salt[:-2] + chr(ord(salt[-2]) + 1) + "="  # other bits behind the last byte
    assert_refused(path, with_header(whole, salt=loose), match="header is not one")


@pytest.mark.timeout(120)
def test_five_thousand_mutations_end_in_typed_errors(path, whole):
    rng = np.random.default_rng(20)
    for _ in range(5000):
        data = mutate(bytearray(whole), rng)
        path.write_bytes(data)
        try:
            given_out = unseal(path)
        except MienError:
            continue
        assert data == whole
        assert given_out == CONTENT


def mutate(data, rng):
    for _ in range(rng.integers(1, 4)):
        at, to = sorted(rng.integers(0, len(data) + 1, 2))
        kind = rng.integers(0, 6)
        if kind == 0 and len(data):
            data[min(at, len(data) - 1)] = rng.integers(0, 256)
        elif kind == 1:
            del data[at:to]
        elif kind == 2:
            data[at:at] = rng.bytes(int(rng.integers(1, 40)))
        elif kind == 3:
            data[at:at] = data[at:to]
        elif kind == 4:
            data[10:14] = rng.bytes(4)
        else:
            digits = [k for k, byte in enumerate(data) if 48 <= byte <= 57]
            if digits:
                data[rng.choice(digits)] = rng.integers(48, 58)
    return bytes(data)


def test_too_large_a_file_is_refused(path, whole):
    assert_refused(path, whole, RangeError, "at most 100 are accepted", max_bytes=100)
    assert unseal(path, max_bytes=len(whole)) == CONTENT


def test_a_missing_file_is_named(path, tmp_path):
    for place in (path, tmp_path):
        with pytest.raises(MissingError, match="cannot be read.*sealed file is expected"):
            unseal(place)
        with pytest.raises(MissingError, match="cannot be read"):
            read_header(place)


def test_a_change_between_the_readings_is_noticed(path):
    seal(path, [bytes(2**20)], chunk_bytes=1024)  # more than Python reads ahead
    reading = read_sealed(path, purpose="test", secret=KEY, expected_signer=FINGERPRINT)
    assert next(reading) == bytes(1024)
    with path.open("r+b") as file:
        file.seek(2**19)
        file.write(b"\0" * 100)
    with pytest.raises(IntegrityError, match="chunk does not belong"):
        list(reading)


def test_what_cannot_be_sealed_is_refused(path, tmp_path):
    with pytest.raises(RangeError, match="passphrase has 5 characters.*at least 12"):
        seal(path, secret=Passphrase("short"))
    with pytest.raises(RangeError, match="key has 3 bytes"):
        SealKey(b"abc")
    with pytest.raises(RangeError, match="chunk_bytes is 0"):
        seal(path, chunk_bytes=0)
    for facts in ({"a": object()}, {"a": float("nan")}):
        with pytest.raises(ConfigError, match="public facts cannot be written"):
            seal(path, public=facts)
    with pytest.raises(ConfigError, match="header takes .*large facts"):
        seal(path, public={"a": "x" * _seal_header.MAX_HEADER_BYTES})
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError):
        seal(tmp_path / "file" / "below")
    assert not path.exists()
