"""From facial action units (FACS) to the head's face units.

FACS says which muscle moves and how strongly (A-E, here 1-5; Ekman, Friesen and Hager, "Facial
Action Coding System", 2002). The head has the 52 face units that ARKit named. Which belongs to
which follows from the definitions of both, as tabulated by Ozel ("ARKit to FACS", 2020); the
weights are ours, chosen by eye, and are not a measurement of muscles.
"""

from collections.abc import Mapping
from typing import Final

from mien.studio.head import check_names, check_range
from mien.studio.scene import Named, named

MAX_INTENSITY: Final = 5.0

ACTION_UNITS: Final[dict[str, tuple[str, dict[str, float]]]] = {
    "AU1": ("inner brow raiser", {"browInnerUp": 1.0}),
    "AU2": ("outer brow raiser", {"browOuterUpLeft": 1.0, "browOuterUpRight": 1.0}),
    "AU4": ("brow lowerer", {"browDownLeft": 1.0, "browDownRight": 1.0}),
    "AU5": ("upper lid raiser", {"eyeWideLeft": 1.0, "eyeWideRight": 1.0}),
    "AU6": ("cheek raiser", {"cheekSquintLeft": 1.0, "cheekSquintRight": 1.0}),
    "AU7": ("lid tightener", {"eyeSquintLeft": 1.0, "eyeSquintRight": 1.0}),
    "AU9": ("nose wrinkler", {"noseSneerLeft": 1.0, "noseSneerRight": 1.0}),
    "AU10": ("upper lip raiser", {"mouthUpperUpLeft": 1.0, "mouthUpperUpRight": 1.0}),
    "AU12": ("lip corner puller", {"mouthSmileLeft": 1.0, "mouthSmileRight": 1.0}),
    "AU14": ("dimpler", {"mouthDimpleLeft": 1.0, "mouthDimpleRight": 1.0}),
    "AU15": ("lip corner depressor", {"mouthFrownLeft": 1.0, "mouthFrownRight": 1.0}),
    "AU16": ("lower lip depressor", {"mouthLowerDownLeft": 1.0, "mouthLowerDownRight": 1.0}),
    "AU17": ("chin raiser", {"mouthShrugLower": 1.0, "mouthShrugUpper": 0.4}),
    "AU18": ("lip pucker", {"mouthPucker": 1.0}),
    "AU19": ("tongue show", {"tongueOut": 1.0, "jawOpen": 0.35}),
    "AU20": ("lip stretcher", {"mouthStretchLeft": 1.0, "mouthStretchRight": 1.0}),
    "AU22": ("lip funneler", {"mouthFunnel": 1.0}),
    "AU24": ("lip pressor", {"mouthPressLeft": 1.0, "mouthPressRight": 1.0}),
    "AU25": ("lips part", {"mouthLowerDownLeft": 0.35, "mouthLowerDownRight": 0.35,
                           "mouthUpperUpLeft": 0.2, "mouthUpperUpRight": 0.2}),
    "AU26": ("jaw drop", {"jawOpen": 0.5}),
    "AU27": ("mouth stretch", {"jawOpen": 1.0}),
    "AU28": ("lip suck", {"mouthRollLower": 1.0, "mouthRollUpper": 1.0}),
    "AU29": ("jaw thrust", {"jawForward": 1.0}),
    "AU34": ("cheek puff", {"cheekPuff": 1.0}),
    "AU43": ("eyes closed", {"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0}),
}  # fmt: skip
"""Name and face units, with their weights at the highest intensity, of each action unit."""


def face_units(intensities: Mapping[str, float]) -> Named:
    """Face units for action units, ready for ``Scene.expression``.

    Args:
        intensities: Action units such as ``"AU12"`` and their intensities: 0 (absent) to 5 (E,
            maximal), in between linear.

    Returns:
        Face units and weights; where several action units move one, the sum, at most 1. All 0
        gives none: a face exactly at rest.

    Raises:
        ConfigError: If an action unit is unknown.
        RangeError: If an intensity is not from 0 to 5.
    """
    check_names(intensities, list(ACTION_UNITS), "action unit")
    weights: dict[str, float] = {}
    for name, intensity in intensities.items():
        check_range(f"intensity of {name}", intensity, 0.0, MAX_INTENSITY)
        for unit, weight in ACTION_UNITS[name][1].items():
            weights[unit] = weights.get(unit, 0.0) + weight * intensity / MAX_INTENSITY
    return named({unit: min(1.0, weight) for unit, weight in weights.items()})
