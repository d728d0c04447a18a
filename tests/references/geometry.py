"""Slow and literal geometry: one pixel at a time, in float64."""

import math

import numpy as np


def bilinear(picture, x, y):
    """The picture at a continuous point; beyond its pixels lies black."""
    height, width = picture.shape[:2]
    column, row = math.floor(x - 0.5), math.floor(y - 0.5)
    right, down = x - 0.5 - column, y - 0.5 - row
    total = np.zeros(picture.shape[2])
    for r, share_y in ((row, 1 - down), (row + 1, down)):
        for c, share_x in ((column, 1 - right), (column + 1, right)):
            if 0 <= r < height and 0 <= c < width:
                total += share_x * share_y * picture[r, c]
    return total


def warp(picture, matrix, size):
    """Every output pixel looks up where its centre came from."""
    width, height = size
    back = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))
    drawn = np.zeros((height, width, picture.shape[2]))
    for r in range(height):
        for c in range(width):
            x, y, _ = back @ (c + 0.5, r + 0.5, 1)
            drawn[r, c] = bilinear(picture, x, y)
    return drawn


def similarity(scale, angle_rad, shift):
    """Scale and turn clockwise as seen in the picture (y grows downwards), then shift."""
    c, s = scale * math.cos(angle_rad), scale * math.sin(angle_rad)
    return np.array([[c, -s, shift[0]], [s, c, shift[1]]])


def fit_similarity(source, goal):
    """Least squares for (a, b, tx, ty) in x' = a x - b y + tx, y' = b x + a y + ty."""
    rows, values = [], []
    for (x, y), (u, v) in zip(source, goal, strict=True):
        rows += [[x, -y, 1, 0], [y, x, 0, 1]]
        values += [u, v]
    (a, b, tx, ty), *_ = np.linalg.lstsq(np.array(rows, float), np.array(values, float))
    return np.array([[a, -b, tx], [b, a, ty]])


def rotate_face(points, yaw_rad, pitch_rad, roll_rad):
    """Turn 3-D points (x right, y down, z away) as the words of `core.types.HeadPose` say.

    The nose of a face at rest points to -z. First it nods: pitch moves it down, to +y. Then it
    turns: yaw moves it to the image's right, to +x. Then it rolls clockwise: +x goes to +y.
    """
    c, s = math.cos(pitch_rad), math.sin(pitch_rad)
    nod = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    c, s = math.cos(yaw_rad), math.sin(yaw_rad)
    turn = np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]])
    c, s = math.cos(roll_rad), math.sin(roll_rad)
    roll = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    return points @ (roll @ turn @ nod).T
