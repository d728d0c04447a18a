"""Weight files: their cards, finding and checking them, and what is computed from them.

The network lives apart in `mien.core.weights.download`, which nothing here imports until a
download was allowed.
"""

from mien.core.weights.cache import cache_root, derived_file
from mien.core.weights.cards import WeightCard, all_cards, find_card, parse_cards
from mien.core.weights.resolve import (
    Origin,
    ResolvedWeights,
    WeightStatus,
    list_weights,
    resolve_weights,
)

__all__ = [
    "Origin",
    "ResolvedWeights",
    "WeightCard",
    "WeightStatus",
    "all_cards",
    "cache_root",
    "derived_file",
    "find_card",
    "list_weights",
    "parse_cards",
    "resolve_weights",
]
