"""Choose the vertices of the 68-point (iBUG) scheme on the studio's head.

Run by hand after ``make_head.py``: ``python tools/choose_landmarks.py``. Prints the table that
stands in ``src/mien/studio/landmarks.py``. Works on the mean of the twelve young and old shapes,
seen from the front: contours of eyes, lips and jaw are read off a picture at 4 samples a
millimetre, and the nearest vertex of the skin is taken. The left side mirrors the right.
"""

from typing import Any

import numpy as np

from mien.studio.head import BODY, Head, load_head
from mien.studio.raster import rasterise

PER_MM = 4
SIZE = 1200
OUTER_LIPS = (
    (49, 0.42, True), (50, 0.8, True), (51, 0.99, True),
    (59, 0.42, False), (58, 0.74, False), (57, 0.99, False),
)  # fmt: skip
Points = np.ndarray[Any, np.dtype[np.float64]]


def main() -> None:
    """Print the table."""
    head = load_head()
    mean = head.person(np.full(12, 1 / 12), np.zeros(len(head.identity.names)))
    right = choose(head, mean)  # of the scheme's number: a point of the subject's right, x <= 0
    table = np.zeros(68, np.int64)
    for number, point in right.items():
        table[number] = nearest(head, mean, point)
        mirrored = MIRROR.get(number)
        if mirrored is not None:
            table[mirrored] = nearest(head, mean, mean[table[number]] * [-1, 1, 1])
    print(np.array2string(table, separator=", "))  # noqa: T201


def choose(head: Head, mean: Points) -> dict[int, Points]:
    """Points in millimetres by their number in the scheme."""
    kind, depth = seen(head, mean)
    found = jaw(depth)
    eye = contour(kind == 2)
    left, right_ = eye[:, 0].min(), eye[:, 0].max()  # outer and inner corner of the right eye
    width = right_ - left
    found[36] = at(depth, *eye[eye[:, 0].argmin()])
    found[39] = at(depth, *eye[eye[:, 0].argmax()])
    for number, share, top in (
        (37, 0.3, True),
        (38, 0.68, True),
        (40, 0.68, False),
        (41, 0.3, False),
    ):
        found[number] = at(depth, *edge(eye, left + share * width, top=top))
    lips = contour((kind == 5) & (np.arange(SIZE)[None, :] < SIZE / 2 + 2))
    corner = lips[lips[:, 0].argmin()]
    found[48] = at(depth, *corner)
    for number, share, top in OUTER_LIPS:
        found[number] = at(depth, *edge(lips, corner[0] * (1 - share), top=top))
    for number, (x, y) in {
        17: (-54, 33),
        18: (-45, 38.5),
        19: (-35, 39.5),
        20: (-24, 38),
        21: (-13, 35.5),
    }.items():
        found[number] = at(depth, x, y)
    return found | nose(depth) | inner_lips(head)


def inner_lips(head: Head) -> dict[int, Points]:
    """Lip vertices that border the opening: upper ones stay, lower ones go when the jaw opens."""
    rest = np.full(12, 1 / 12)
    mean = head.person(rest, np.zeros(len(head.identity.names)))
    open_ = head.express(mean, head.units.values({"jawOpen": 1.0}, "face unit"), (0.0, 0.0))
    kind, _ = seen(head, open_)
    hole = contour((kind == 3) & (np.arange(SIZE)[None, :] < SIZE / 2 + 2))
    corner = hole[hole[:, 0].argmin()]
    found = {}
    for number, share, top in ((60, 0, True), (61, 0.55, True), (62, 0.99, True), (67, 0.55, False),
                               (66, 0.99, False)):  # fmt: skip
        x, y = edge(hole, corner[0] * (1 - share), top=top) if share else corner
        lips = np.flatnonzero((head.part == BODY) & (head.masks["lips"] > 0.2))
        off = np.hypot(open_[lips, 0] - x, open_[lips, 1] - y)
        found[number] = mean[lips[off.argmin()]]
    return found


def jaw(depth: Points) -> dict[int, Points]:
    """Where the face turns away from the viewer, along rays from the middle of the face."""
    found = {}
    for number in range(9):
        angle = np.deg2rad(np.interp(number, [0, 3, 6, 8], [-10, 22, 62, 90]))
        # Past the lips, whose edges fall steeply too.
        start = 76 if number > 5 else 45
        for r in np.arange(start, 110, 0.5):
            x, y = -np.cos(angle) * r, 2 - np.sin(angle) * r
            fall = (at(depth, x, y)[2] - at(depth, x - np.cos(angle), y - np.sin(angle))[2]) / 1.0
            if not fall < 2.2:
                break
        found[number] = at(depth, x, y)
    return found


def nose(depth: Points) -> dict[int, Points]:
    """Bridge, tip and base."""
    column = np.array([at(depth, 0, y) for y in np.arange(40, -40, -0.25)])
    tip = column[column[:, 2].argmax()]
    root = column[(column[:, 1] > 10)][column[column[:, 1] > 10][:, 2].argmin()]
    base = at(depth, 0, tip[1] - 9.5)
    found = {27 + k: at(depth, 0, root[1] + (tip[1] - root[1]) * k / 3) for k in range(3)}
    return found | {
        30: tip,
        33: base,
        31: at(depth, -13, base[1] + 3.5),
        32: at(depth, -7, base[1] + 0.5),
    }


MIRROR = (
    {k: 16 - k for k in range(8)}
    | {17 + k: 26 - k for k in range(5)}
    | {31: 35, 32: 34, 36: 45, 37: 44, 38: 43, 39: 42, 40: 47, 41: 46}
    | {48: 54, 49: 53, 50: 52, 59: 55, 58: 56, 60: 64, 61: 63, 67: 65}
)


def seen(head: Head, vertices: Points) -> tuple[Points, Points]:
    """What each sample sees: 1 skin, 2 right eye, 3 inside of the mouth, 5 lips; and its height."""
    points = np.stack([vertices[:, 0], -vertices[:, 1]], 1) * PER_MM + SIZE / 2
    sides = np.ones(len(head.triangles), np.uint8)
    far = 1e6  # as good as parallel rays
    found = rasterise(points, 1 / (far - vertices[:, 2]), head.triangles, sides, SIZE)
    corners = head.triangles[found.triangle]
    three = np.concatenate([found.weights, 1 - found.weights.sum(-1, keepdims=True)], -1)
    part = head.part[corners[..., 0]]
    lips = (head.masks["lips"][corners] * three).sum(-1)
    inside = (head.masks["inside-mouth"][corners] * three).sum(-1)
    kind = np.where(part == 2, 2, np.where(part > 2, 3, 1))
    kind = np.where((part == 0) & (lips > 0.5), 5, kind)
    kind = np.where((part == 0) & (inside > 0.5) & (lips < 0.3), 3, kind)
    height = (vertices[:, 2][corners] * three).sum(-1)
    hidden = found.triangle < 0
    return np.where(hidden, 0, kind), np.where(hidden, -999.0, height)


def at(depth: Points, x: float, y: float) -> Points:
    """The surface point at (x, y)."""
    return np.array([x, y, depth[int(SIZE / 2 - y * PER_MM), int(SIZE / 2 + x * PER_MM)]])


def contour(mask: Points) -> Points:
    """(k, 2) millimetres of the samples in a mask."""
    rows, columns = np.nonzero(mask)
    return np.stack([(columns + 0.5 - SIZE / 2) / PER_MM, (SIZE / 2 - rows - 0.5) / PER_MM], 1)


def edge(points: Points, x: float, *, top: bool) -> Points:
    """The highest or lowest of the points in a column."""
    near = points[np.abs(points[:, 0] - x) <= 0.5]
    return near[near[:, 1].argmax() if top else near[:, 1].argmin()]


def nearest(head: Head, mean: Points, point: Points) -> int:
    """The vertex of the skin nearest to a point; points on the midline stay there."""
    usable = (head.part == BODY) & (head.masks["inside-mouth"] < 0.9)
    if abs(point[0]) < 1:
        usable &= np.abs(mean[:, 0]) < 0.3
    off = np.linalg.norm(mean - point, axis=1)
    return int(np.where(usable, off, np.inf).argmin())


if __name__ == "__main__":
    main()
