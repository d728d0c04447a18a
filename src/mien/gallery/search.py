"""The nearest templates of a gallery, exactly, by looking at every row.

Two ways to look: float32 through BLAS, or 8-bit codes through ONNX Runtime, a quarter of the size
and about three times as fast in large galleries; the codes stand in memory or in a file. All give
the same rows and the same scores to the last bit. No graph, no tree, no approximation. Who the
rows belong to, and whether a score is high enough, is decided elsewhere.

Float32 runs on as many threads as BLAS has: set ``OMP_NUM_THREADS=1`` before Python starts for
one. The codes run on one thread.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import ConfigError, RangeError, ShapeError
from mien.core.types import Array, Float32, Float64, Ints
from mien.gallery._codes_file import CodesFile, round_up, write_codes_file
from mien.gallery._shortlist import TILE, Shortlist

Precision = Literal["float32", "int8"]

SCORES_AT_ONCE: Final = 2**22
"""A search never holds more than so many quick scores (16 MiB), whatever the gallery's size."""

LENGTH_TOLERANCE: Final = 1e-3
"""How far a row or a query may be from length 1."""

_CHECKED_AT_ONCE: Final = 2**14  # rows
_SMALL_PRODUCT: Final = 10**6  # OpenBLAS multiplies without repacking up to so many products
_FLOAT_SCORES: Final = 2**20  # of one block: they stay in the cache until they are looked through
_CODE_ROWS: Final = 2**17  # of one block; fewer, larger blocks cost less per query
_ROW_LEVELS: Final = 127
_QUERY_LEVELS: Final = 63
_QUERY_ZERO: Final = 64


class ExactSearch(Protocol):
    """Rows that can be searched. Safe to use from several threads at once."""

    @property
    def rows(self) -> Float32:
        """(n, d) what is searched, float32 of length 1."""

    def search(self, queries: Float32, k: int) -> tuple[Ints, Float32]:
        """The k rows most similar to each query.

        Args:
            queries: (b, d) float32 of length 1.
            k: How many, at least 1.

        Returns:
            Row numbers (b, k') and cosines (b, k'), best first, ties by lower row;
            k' = min(k, n). A cosine is the float64 product rounded to float32.

        Raises:
            ShapeError: If the queries are not (b, d) float32.
            RangeError: If a query is not finite or not of length 1, or ``k`` is below 1.
        """

    def search_grouped(self, queries: Float32, k: int, groups: Ints) -> tuple[Ints, Ints, Float32]:
        """The k people most similar to each query, each by their best row.

        Args:
            queries: (b, d) float32 of length 1.
            k: How many people, at least 1.
            groups: (n,) number of the person of each row; negative: nobody's, never returned.

        Returns:
            People, their best rows and the cosines, each (b, k'), best first, ties by lower row;
            k' = min(k, number of people).

        Raises:
            ShapeError: If the queries are not (b, d) float32, or groups not whole numbers (n,).
            RangeError: As for `search`.
        """


class _ScannedRows(ABC):
    """Rows with a quick score: what both ways to look have in common."""

    queries_at_once: ClassVar[int]

    def __init__(self, rows: Float32) -> None:
        self.rows: Float32 = _check_unit(rows, "row")

    def search(self, queries: Float32, k: int) -> tuple[Ints, Float32]:
        """See `ExactSearch.search`."""
        return self._best(queries, k, None)

    def search_grouped(self, queries: Float32, k: int, groups: Ints) -> tuple[Ints, Ints, Float32]:
        """See `ExactSearch.search_grouped`."""
        groups = np.asarray(groups)
        if groups.shape != (len(self.rows),) or groups.dtype.kind not in "iu":
            raise ShapeError(
                what=f"groups have shape {groups.shape} and type {groups.dtype}",
                why=f"each of {len(self.rows)} rows belongs to one person, by number",
                mend=f"pass an int64 array of shape ({len(self.rows)},)",
            )
        groups = groups.astype(np.int64, copy=False)
        found, scores = self._best(queries, k, groups)
        return groups[found], found, scores

    @abstractmethod
    def _scan(self, queries: Float32) -> Iterator[tuple[int, Array, Float64, Float64]]:
        """Blocks of quick scores of some queries, as `Shortlist.scan` takes them."""

    def _best(self, queries: Float32, k: int, groups: Ints | None) -> tuple[Ints, Float32]:
        queries = _check_queries(queries, self.rows.shape[1], k)
        width = min(k, len(self.rows))
        rows, scores = [np.empty((0, width), np.int64)], [np.empty((0, width), np.float32)]
        for at in range(0, len(queries), self.queries_at_once):
            best = self._shortlist(queries[at : at + self.queries_at_once], width, groups)
            rows.append(best.rows[:, : best.width])
            scores.append(best.scores[:, : best.width])
        return np.concatenate(rows[1:] or rows), np.concatenate(scores[1:] or scores)

    def _shortlist(self, queries: Float32, k: int, groups: Ints | None) -> Shortlist:
        best = Shortlist(self.rows, queries, k, groups)
        for block in self._scan(queries):
            best.scan(*block)
        return best


class Float32Search(_ScannedRows):
    """Every row multiplied with the query in float32."""

    queries_at_once = 64

    def __init__(self, rows: Float32) -> None:
        """Take rows to search; they are not copied.

        Args:
            rows: (n, d) float32 of length 1, such as a read-only `numpy.memmap`. n may be 0.

        Raises:
            ShapeError: If they are not (n, d) float32.
            RangeError: If a row is not finite or not of length 1.
        """
        super().__init__(rows)
        # |fl(x·y) - x·y| <= d·u/(1 - d·u)·|x|·|y| in any order of summation, u = 2^-24
        # (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., eq. 3.5); the rest
        # covers lengths within tolerance and the rounding of the careful score.
        self._slack = 1.01 * (self.rows.shape[1] + 2) * 2.0**-24

    def _scan(self, queries: Float32) -> Iterator[tuple[int, Array, Float64, Float64]]:
        (b, d), n = queries.shape, len(self.rows)
        width = min(_FLOAT_SCORES // b // TILE * TILE, round_up(max(n, 1)))
        block = min(max(64, _SMALL_PRODUCT // (b * d)), _CHECKED_AT_ONCE)
        turned = np.ascontiguousarray(queries.T) if b > 1 else queries[0]  # d b
        scores = np.empty((width, b) if b > 1 else width, np.float32)
        units, slack = np.ones(b), np.full(b, self._slack)
        for start in range(0, n, width):
            stop = min(start + width, n)
            for at in range(start, stop, block):
                to = min(at + block, stop)
                np.dot(self.rows[at:to], turned, out=scores[at - start : to - start])
            used = scores[: round_up(stop - start)]
            used[stop - start :] = -np.inf
            yield start, used.reshape(-1, b).T, units, slack


class _CodedRows(_ScannedRows):
    """Rows with 8-bit codes, wherever the codes are."""

    queries_at_once = SCORES_AT_ONCE // _CODE_ROWS

    _step: float
    """What a code is multiplied by."""
    _error: float
    """The largest length of row - code·step."""
    _block_rows: int

    @abstractmethod
    def _multiply_block(
        self, number: int, queries: NDArray[np.uint8], scores: NDArray[np.int32]
    ) -> None:
        """Write the product of shifted queries (b, d) and the codes of a block to ``scores``."""

    def _scan(self, queries: Float32) -> Iterator[tuple[int, Array, Float64, Float64]]:
        b = len(queries)
        step = np.abs(queries).max(axis=1).astype(np.float64) / _QUERY_LEVELS
        codes = np.rint(queries / step[:, None])
        rest = np.linalg.norm(queries - codes * step[:, None], axis=1)
        # |x·q - x'·q'| <= |x - x'|·|q| + |x'|·|q - q'|, widened for the lengths' tolerance and
        # for the float32 arithmetic that measured the errors.
        slack = 1.01 * (self._error + (1 + self._error) * rest) + 1e-6
        shifted = (codes + _QUERY_ZERO).astype(np.uint8)
        width = self._block_rows
        buffer = np.empty(b * round_up(min(width, len(self.rows))), np.int32)
        for number, start in enumerate(range(0, len(self.rows), width)):
            count = min(width, len(self.rows) - start)
            scores = buffer[: b * round_up(count)].reshape(b, -1)
            self._multiply_block(number, shifted, scores)
            scores[:, count:] = np.iinfo(np.int32).min
            yield start, scores, step * self._step, slack


class Int8Search(_CodedRows):
    """Every row as an 8-bit code, multiplied in whole numbers; the best again in float32.

    Every code has the same step, so the product of codes is right within a bound that is known.
    All rows within that bound of the k-th best are compared again by their float32 values: the
    result equals that of `Float32Search`. Codes take a byte a number and stay in memory; of the
    float32 rows only the best are touched, so they may stay on disk.
    """

    def __init__(self, rows: Float32) -> None:
        """Take rows to search and make their codes.

        Args:
            rows: (n, d) float32 of length 1, such as a read-only `numpy.memmap`; not copied.

        Raises:
            ShapeError: If they are not (n, d) float32.
            RangeError: If a row is not finite or not of length 1.
        """
        super().__init__(rows)
        self._step, self._error, self._block_rows = _code_step(self.rows), 0.0, _CODE_ROWS
        self._products = []
        for codes, error in _encode(self.rows, self._step):
            self._products.append(_open_product(codes))
            self._error = max(self._error, error)

    def _multiply_block(
        self, number: int, queries: NDArray[np.uint8], scores: NDArray[np.int32]
    ) -> None:
        _multiply(self._products[number], queries, scores)


class Int8FileSearch(_CodedRows):
    """As `Int8Search`, with the codes in a file that need not fit into memory.

    Each search reads the file from end to end, out of memory where the system still holds it
    there. Opening reads no codes; what `write_codes` checked is not checked again.
    """

    def __init__(self, rows: Float32, codes: Path) -> None:
        """Take rows to search, and the file of their codes.

        Args:
            rows: (n, d) what `write_codes` was given, such as a read-only `numpy.memmap`.
            codes: The file that it wrote.

        Raises:
            ShapeError: If the rows are not (n, d) float32.
            MissingError: If the file cannot be read.
            IntegrityError: If it is damaged, or of other rows.
        """
        self.rows = _check_shape(rows, "row")
        self._file = CodesFile(codes, self.rows)
        self._step, self._error = self._file.header.step, self._file.header.error
        self._block_rows = self._file.header.block_rows
        self._product = _open_product(None)

    def _multiply_block(
        self, number: int, queries: NDArray[np.uint8], scores: NDArray[np.int32]
    ) -> None:
        _multiply(self._product, queries, scores, self._file.block(number))


def write_codes(rows: Float32, path: Path) -> None:
    """Make the file of codes that `Int8FileSearch` takes, in constant memory.

    Args:
        rows: (n, d) float32 of length 1, such as a read-only `numpy.memmap`.
        path: Where the file shall stand; it takes d bytes a row.

    Raises:
        ShapeError: If they are not (n, d) float32.
        RangeError: If a row is not finite or not of length 1.
        StorageError: If the file cannot be written.
    """
    rows = _check_unit(rows, "row")
    step = _code_step(rows)
    write_codes_file(path, rows, step, _CODE_ROWS, _encode(rows, step))


def _code_step(rows: Float32) -> float:
    """The step at which every number of the rows has a code."""
    starts = range(0, len(rows), _CHECKED_AT_ONCE)
    parts = (rows[at : at + _CHECKED_AT_ONCE] for at in starts)
    largest = max((max(part.max(), -part.min()) for part in parts), default=1.0)
    return float(np.float32(largest / _ROW_LEVELS))


def _encode(rows: Float32, step: float) -> Iterator[tuple[NDArray[np.int8], float]]:
    """Codes (d, m) of every block, and the largest error |row - code·step| in it."""
    for start in range(0, len(rows), _CODE_ROWS):
        block = rows[start : start + _CODE_ROWS]
        codes = np.zeros((block.shape[1], round_up(len(block))), np.int8)
        error = 0.0
        for at in range(0, len(block), _CHECKED_AT_ONCE):
            part = block[at : at + _CHECKED_AT_ONCE]
            rounded = np.rint(part / np.float32(step))
            rest = part - rounded * np.float32(step)
            error = max(error, float(np.linalg.norm(rest, axis=1).max()))
            codes[:, at : at + len(part)] = rounded.T
        yield codes, error


def open_search(rows: Float32, precision: Precision = "float32") -> ExactSearch:
    """Rows ready to be searched.

    Args:
        rows: (n, d) float32 of length 1; not copied.
        precision: ``"float32"``, or ``"int8"``: same results, about three times as fast in large
            galleries, but 1.5 s to prepare for every million rows.

    Raises:
        ConfigError: If the precision is none of these.
        ShapeError: If the rows are not (n, d) float32.
        RangeError: If a row is not finite or not of length 1.
    """
    if precision == "float32":
        return Float32Search(rows)
    if precision == "int8":
        return Int8Search(rows)
    raise ConfigError(
        what=f"precision is {precision!r}",
        why="rows are searched as float32 or by int8 codes",
        mend="pass 'float32' or 'int8'",
    )


def _check_unit(vectors: Float32, name: str) -> Float32:
    """The array without its subclass, if it is float32 rows of length 1."""
    array = _check_shape(vectors, name)
    for at in range(0, len(array), _CHECKED_AT_ONCE):
        block = array[at : at + _CHECKED_AT_ONCE]
        length = np.sqrt(np.einsum("ij,ij->i", block, block))
        wrong = ~(np.abs(length - 1) <= LENGTH_TOLERANCE)  # true for NaN as well
        if wrong.any():
            first = int(np.argmax(wrong))
            raise RangeError(
                what=f"{name} {at + first} has length {length[first]:.4g}",
                why="templates are finite and of length 1, so that a dot product is a cosine",
                mend="use embeddings as the pipeline returns them",
            )
    return array


def _check_shape(vectors: Float32, name: str) -> Float32:
    array = np.asarray(vectors)
    if array.ndim != 2 or array.dtype != np.float32 or not array.shape[1]:
        raise ShapeError(
            what=f"the array of {name}s has shape {array.shape} and type {array.dtype}",
            why=f"every {name} is a template of float32 numbers",
            mend="pass a float32 array of shape (n, d)",
        )
    return array


def _check_queries(queries: Float32, dim: int, k: int) -> Float32:
    if k < 1:
        raise RangeError(
            what=f"k is {k}", why="it is the number of results wanted", mend="pass 1 or more"
        )
    queries = np.asarray(queries)
    if queries.ndim == 2 and queries.shape[1] != dim:
        raise ShapeError(
            what=f"the array of queries has shape {queries.shape}",
            why=f"the rows that are searched hold {dim} numbers",
            mend="embed with the pipeline that made the rows",
        )
    return _check_unit(queries, "query")


def _open_product(codes: NDArray[np.int8] | None) -> Any:
    """An ONNX Runtime session that multiplies whole-number queries with codes.

    Queries have 7 bits: on processors without VNNI two products are added in 16 bits, and
    2 · 127 · 127 still fits. ONNX Runtime keeps the codes repacked for the processor; given from
    outside the model, no second copy stays behind.

    Args:
        codes: (d, m); None: they are given with each query, and repacked each time.
    """
    import onnx
    import onnxruntime as ort
    from onnx import helper

    d, m = codes.shape if codes is not None else ("d", "m")
    inputs = [helper.make_tensor_value_info("queries", onnx.TensorProto.UINT8, ["b", d])]
    weights = []
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    if codes is None:
        inputs += [helper.make_tensor_value_info("codes", onnx.TensorProto.INT8, [d, m])]
    else:
        weights += [_outside_tensor("codes", codes.shape)]
        options.add_external_initializers(["codes"], [ort.OrtValue.ortvalue_from_numpy(codes)])
    zero = helper.make_tensor("zero", onnx.TensorProto.UINT8, [], [_QUERY_ZERO])
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["queries", "codes", "zero"], ["scores"])],
        "product",
        inputs,
        [helper.make_tensor_value_info("scores", onnx.TensorProto.INT32, ["b", m])],
        initializer=[*weights, zero],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def _outside_tensor(name: str, shape: tuple[int, ...]) -> Any:
    """An int8 tensor of a model whose values are handed in beside it."""
    import onnx

    tensor = onnx.TensorProto(
        name=name,
        data_type=onnx.TensorProto.INT8,
        dims=shape,
        data_location=onnx.TensorProto.EXTERNAL,
    )
    tensor.external_data.add(key="location", value="memory")
    return tensor


def _multiply(
    product: Any,
    queries: NDArray[np.uint8],
    scores: NDArray[np.int32],
    codes: NDArray[np.int8] | None = None,
) -> None:
    """Write the product of shifted queries (b, d) and codes into ``scores``, (b, m)."""
    binding = product.io_binding()
    binding.bind_cpu_input("queries", queries)
    if codes is not None:  # by address: a mapped file is not copied
        binding.bind_input("codes", "cpu", 0, np.int8, codes.shape, codes.ctypes.data)
    binding.bind_output("scores", "cpu", 0, np.int32, scores.shape, scores.ctypes.data)
    product.run_with_iobinding(binding)
