"""Where a face will be: a constant-velocity Kalman filter on its centre, in seconds.

Only `mien.faces.track` uses this. It knows one box at a time and nothing of identity.
"""

import numpy as np

from mien.core.types import Float64

# In widths of the face, so that a near face and a far one are judged alike.
_JITTER = 0.05  # standard deviation of a detected centre
_START_SPEED = 4.0  # of the unknown speed at first sight, widths a second: a brisk turn
_ACCELERATION = 15.0  # widths a second squared; a nod peaks near this

_SIZE_BLEND = 0.5  # share of the newest width and height in the smoothed ones


class Motion:
    """Position and velocity of one face, kept as of its last detection.

    Source:
        Kalman filter with white-noise acceleration (Bar-Shalom, Li, Kirubarajan, "Estimation with
        Applications to Tracking and Navigation", 2001, section 6.2.2). ByteTrack filters centre,
        aspect and height frame by frame; we differ in filtering the centre alone, with one
        covariance for x and y, and in doing so by true time, so that lost frames do no harm.
    """

    def __init__(self, box: Float64, time_s: float) -> None:
        self._begin(box, time_s)

    def _begin(self, box: Float64, time_s: float) -> None:
        self._centre = _centre(box)
        self._size = box[2:] - box[:2]
        self._velocity = np.zeros(2)
        width = float(self._size.mean())
        self._pp, self._pv = (_JITTER * width) ** 2, 0.0  # covariance: position, mixed
        self._vv = (_START_SPEED * width) ** 2  # and velocity
        self._time_s = time_s

    def box_at(self, time_s: float, *, horizon_s: float) -> Float64:
        """The predicted box, (4,) pixels; beyond ``horizon_s`` the face is taken to stand still."""
        ahead_s = min(time_s - self._time_s, horizon_s)
        centre = self._centre + self._velocity * ahead_s
        return np.concatenate([centre - self._size / 2, centre + self._size / 2])

    def correct(self, box: Float64, time_s: float, *, horizon_s: float) -> None:
        """Take in a detection.

        Args:
            box: (4,) pixels.
            time_s: Not before the last one.
            horizon_s: After a longer gap the old velocity is forgotten.
        """
        size = box[2:] - box[:2]
        gap_s = time_s - self._time_s
        if gap_s > horizon_s:
            self._begin(box, time_s)
            return
        self._predict(gap_s, _ACCELERATION * float(size.mean()))
        noise = (_JITTER * float(size.mean())) ** 2
        gain_p, gain_v = self._pp / (self._pp + noise), self._pv / (self._pp + noise)
        surprise = _centre(box) - self._centre
        self._centre = self._centre + gain_p * surprise
        self._velocity = self._velocity + gain_v * surprise
        self._vv -= gain_v * self._pv
        self._pp, self._pv = (1 - gain_p) * self._pp, (1 - gain_p) * self._pv
        self._size = (1 - _SIZE_BLEND) * self._size + _SIZE_BLEND * size
        self._time_s = time_s

    def _predict(self, gap_s: float, acceleration: float) -> None:
        power = acceleration**2
        self._centre = self._centre + self._velocity * gap_s
        self._pp += 2 * gap_s * self._pv + gap_s**2 * self._vv + power * gap_s**4 / 4
        self._pv += gap_s * self._vv + power * gap_s**3 / 2
        self._vv += power * gap_s**2


def _centre(box: Float64) -> Float64:
    return (box[:2] + box[2:]) / 2
