"""Templates of people who never lived: directions around one centre a person."""

import numpy as np


def draw_people(
    n_people: int, photos: int, *, dim: int = 64, spread: float = 0.55, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """(n, dim) unit rows and (n,) names; a larger spread makes people harder to tell apart."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(n_people, dim))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    noise = rng.normal(size=(n_people, photos, dim)) / np.sqrt(dim)
    rows = (centres[:, None] + spread * noise).reshape(-1, dim)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    names = np.repeat([f"person {k:03d}" for k in range(n_people)], photos)
    return rows.astype(np.float32), names
