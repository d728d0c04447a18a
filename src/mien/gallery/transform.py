"""Templates turned by a secret, so that a stolen search index can be revoked.

A search index outside the gallery may be given turned templates: it searches them as any others
and returns the same scores, while whoever steals it can compare them with nothing that was not
turned by the same secret. Where the secret is kept, and the untransformed templates, is not known
here. Turning is no encryption: `docs/concepts/template-protection.md` says what it withstands.
"""

import hashlib
from dataclasses import dataclass, field
from typing import Final, Self

import numpy as np
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from mien.core.errors import ConfigError, ContractError, RangeError, ShapeError
from mien.core.types import Float32, Float64
from mien.gallery.search import LENGTH_TOLERANCE

SECRET_BYTES: Final = 32
MAX_DIM: Final = 2048

_VERSION: Final = "mien template rotation 1"  # a change of the derivation needs another
_WORDS: Final = 32  # 16-bit words summed for a number


@dataclass(frozen=True, slots=True, eq=False)
class TemplateTransform:
    """A secret rotation of templates; cosines stay as they are.

    Attributes:
        id: Public name, such as ``rotation-3f0c9a2b7d3e5a61``. It follows from the secret, and
            says nothing about it; two secrets have two ids.
        dim: Numbers of a template, before and after.
        matrix: (dim, dim) float64, orthogonal, read-only. To be guarded as the secret is.
    """

    id: str
    dim: int
    matrix: Float64 = field(repr=False)

    @classmethod
    def from_secret(cls, secret: bytes, dim: int = 128) -> Self:
        """The rotation that belongs to a secret.

        The same secret gives the same matrix to the last bit on every machine and with every
        version of numpy: its entropy comes from HKDF-SHA256 and SHAKE-256, and its arithmetic is
        made of operations that IEEE 754 rounds in one way only, in a fixed order.

        Args:
            secret: 32 random bytes, such as ``secrets.token_bytes(32)``; no password.
            dim: Numbers of a template, 2 to 2048.

        Raises:
            ConfigError: If the secret is not 32 bytes.
            RangeError: If ``dim`` lies outside its range.

        Example:
            >>> turned = TemplateTransform.from_secret(bytes(range(32)), dim=4)
            >>> turned.contract("sface-4-0123")
            'sface-4-0123+rotation-...'
        """
        _check_secret(secret)
        if not 2 <= dim <= MAX_DIM:
            raise RangeError(
                what=f"dim is {dim}",
                why=f"templates of 2 to {MAX_DIM} numbers are turned",
                mend="pass the length of the contract's templates",
            )
        matrix = _orthonormal(_normals(_derive(secret, f"matrix {dim}"), (dim, dim)))
        matrix.flags.writeable = False
        return cls(id=f"rotation-{_derive(secret, f'id {dim}')[:8].hex()}", dim=dim, matrix=matrix)

    def apply(self, templates: Float32) -> Float32:
        """Turn templates.

        The product is taken in float64 and rounded once; its last bit may differ between BLAS
        libraries, by less than matters to any score.

        Args:
            templates: (n, dim) float32 of length 1; n may be 0.

        Returns:
            (n, dim) float32 of the same lengths and cosines.

        Raises:
            ShapeError: If they are not (n, dim) float32.
            RangeError: If one is not finite or not of length 1.
        """
        rows = self._check(templates)
        turned: Float32 = (rows.astype(np.float64) @ self.matrix.T).astype(np.float32)
        return turned

    def contract(self, contract: str) -> str:
        """The contract id of turned templates: neither plain ones nor another secret's fit it.

        Raises:
            ContractError: If the contract is already that of turned templates.
        """
        if "+" in contract:
            raise ContractError(
                what=f"the contract {contract} is that of transformed templates",
                why="templates are transformed once, from the originals",
                mend="pass the contract of the pipeline",
            )
        return f"{contract}+{self.id}"

    def _check(self, templates: Float32) -> Float32:
        rows = np.asarray(templates)
        if rows.ndim != 2 or rows.shape[1] != self.dim or rows.dtype != np.float32:
            raise ShapeError(
                what=f"the templates have shape {rows.shape} and type {rows.dtype}",
                why=f"this transform is for float32 templates of {self.dim} numbers",
                mend=f"pass a float32 array of shape (n, {self.dim})",
            )
        length = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
        wrong = ~(np.abs(length - 1) <= LENGTH_TOLERANCE)  # true for NaN as well
        if wrong.any():
            first = int(np.argmax(wrong))
            raise RangeError(
                what=f"template {first} has length {length[first]:.4g}",
                why="templates are finite and of length 1, so that a dot product is a cosine",
                mend="use embeddings as the pipeline returns them",
            )
        return rows


def _check_secret(secret: bytes) -> None:
    if not isinstance(secret, bytes) or len(secret) != SECRET_BYTES:
        found = f"{len(secret)} bytes" if isinstance(secret, bytes) else type(secret).__name__
        raise ConfigError(
            what=f"the secret is {found}",
            why=f"a transform is derived from {SECRET_BYTES} random bytes",
            mend=f"pass secrets.token_bytes({SECRET_BYTES}), kept where the gallery's key is kept",
        )


def _derive(secret: bytes, purpose: str) -> bytes:
    """32 bytes for one purpose; those of one purpose say nothing about another's."""
    info = f"{_VERSION} {purpose}".encode()
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(secret)


def _normals(seed: bytes, shape: tuple[int, int]) -> Float64:
    """Whole numbers, nearly normal: each the sum of 32 uniform 16-bit words about its mean.

    Box and Muller's logarithm and cosine differ between libraries in the last bit; sums of whole
    numbers do not. The fourth moment is 1.3 % below the normal one, which turns nothing.
    """
    count = shape[0] * shape[1]
    stream = hashlib.shake_256(seed).digest(2 * _WORDS * count)
    words = np.frombuffer(stream, "<u2").reshape(count, _WORDS)
    twice = 2 * words.sum(axis=1, dtype=np.int64) - _WORDS * (2**16 - 1)
    numbers: Float64 = twice.astype(np.float64).reshape(shape)
    return numbers


def _orthonormal(rows: Float64) -> Float64:
    """Orthonormal rows by Gram and Schmidt's method, twice, which is enough for rounding.

    From normal rows this is the matrix of a QR decomposition with positive diagonal, uniform over
    all rotations and reflections. LAPACK is not asked, as its sums depend on the processor.
    """
    basis = rows.copy()
    for _ in range(2):
        for k in range(len(basis)):
            row, rest = basis[k], basis[k + 1 :]
            row /= np.sqrt(_sum_in_order(row * row))
            rest -= _sum_in_order(rest * row)[:, None] * row
    return basis


def _sum_in_order(values: Float64) -> Float64:
    """Sums along the last axis from first to last; numpy's own order depends on the processor."""
    sums: Float64 = np.add.accumulate(values, axis=-1)[..., -1]
    return sums
