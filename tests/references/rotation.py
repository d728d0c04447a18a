"""The secret rotation, one number at a time, with nothing but Python's own floats."""

import hashlib
import hmac
import math


def derive(secret, info):
    """HKDF-SHA256 (RFC 5869) without salt, 32 bytes."""
    key = hmac.digest(bytes(32), secret, "sha256")
    return hmac.digest(key, info.encode() + b"\x01", "sha256")


def normals(seed, count):
    """Sums of 32 words of 16 bits, doubled and centred."""
    stream = hashlib.shake_256(seed).digest(64 * count)
    words = [int.from_bytes(stream[k : k + 2], "little") for k in range(0, len(stream), 2)]
    return [float(2 * sum(words[32 * k : 32 * k + 32]) - 32 * 65535) for k in range(count)]


def in_order(values):
    total = values[0]
    for value in values[1:]:
        total += value
    return total


def rotation(secret, dim):
    """Rows of the matrix: Gram and Schmidt, twice."""
    numbers = normals(derive(secret, f"mien template rotation 1 matrix {dim}"), dim * dim)
    rows = [numbers[k * dim : (k + 1) * dim] for k in range(dim)]
    for _ in range(2):
        for k in range(dim):
            length = math.sqrt(in_order([x * x for x in rows[k]]))
            rows[k] = [x / length for x in rows[k]]
            for other in range(k + 1, dim):
                along = in_order([x * y for x, y in zip(rows[other], rows[k], strict=True)])
                rows[other] = [x - along * y for x, y in zip(rows[other], rows[k], strict=True)]
    return rows


def name(secret, dim):
    """The public id."""
    return f"rotation-{derive(secret, f'mien template rotation 1 id {dim}')[:8].hex()}"
