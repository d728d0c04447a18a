"""Which detectors and embedders there are: our own, and those that installed packages bring.

A package adds one by an entry point in the group ``mien.detectors`` or ``mien.embedders`` whose
value is a callable that takes a `PipelineConfig` and returns a `Detector` or an `Embedder`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final, Literal

from mien.core.errors import ConfigError, MienError, RefusedError
from mien.core.threads import resolve_threads
from mien.faces.detect.protocol import Detector
from mien.faces.embed.protocol import Embedder
from mien.faces.engines.open import PROVIDERS, open_engine
from mien.faces.engines.packaged import packaged_network
from mien.faces.engines.protocol import Engine

DETECTOR_GROUP: Final = "mien.detectors"
EMBEDDER_GROUP: Final = "mien.embedders"


@dataclass(frozen=True, slots=True)
class PipelineConfig:
    """What a pipeline is made of.

    Attributes:
        detector: ``"yunet"``, or the name of an entry point in ``mien.detectors``.
        embedder: ``"sface"``, ``"dlib"`` (extra ``dlib``), or the name of an entry point in
            ``mien.embedders``.
        provider: Engine of the embedder, one of `engines.PROVIDERS`.
        detector_provider: Engine of the detector. OpenVINO is the quicker one for SFace, and the
            slower one for YuNet (`python -m benchmarks.engines`).
        threads: Threads that one call of a network may use; None takes what the quota allows.
            Folders are better served by several workers of one thread each, the default.
        score_threshold: Detections below it are dropped, 0-1.
        min_face_px: Smallest face side to look for, in picture pixels.
        require: ``"commercial"`` refuses weights that are not known to allow commercial use.
    """

    detector: str = "yunet"
    embedder: str = "sface"
    provider: str = "onnxruntime"
    detector_provider: str = "onnxruntime"
    threads: int | None = 1
    score_threshold: float = 0.6
    min_face_px: float = 20.0
    require: Literal["commercial"] | None = None

    def __post_init__(self) -> None:
        for name in ("provider", "detector_provider"):
            if getattr(self, name) not in PROVIDERS:
                raise ConfigError(
                    what=f"{name} is {getattr(self, name)!r}",
                    why=f"mien knows {', '.join(PROVIDERS)}",
                    mend="choose one of them; `mien doctor` shows which are installed",
                )
        if self.require not in {None, "commercial"}:
            raise ConfigError(
                what=f"require is {self.require!r}",
                why="the one demand on a licence that mien knows is 'commercial'",
                mend="pass 'commercial', or leave it out",
            )
        resolve_threads(self.threads)


def open_detector(config: PipelineConfig) -> Detector:
    """Build the detector that the configuration names.

    Raises:
        ConfigError: If nobody brings a detector of that name.
        ExtraMissingError: If the package it needs is not installed.
        WeightsMissingError: If its weights are not at hand.
        RefusedError: If the licence demanded is not given.
    """
    part: Detector = _open(config.detector, config, _DETECTORS, DETECTOR_GROUP, "detector")
    return part


def open_embedder(config: PipelineConfig) -> Embedder:
    """Build the embedder that the configuration names.

    Raises:
        ConfigError: If nobody brings an embedder of that name.
        ExtraMissingError: If the package it needs is not installed.
        WeightsMissingError: If its weights are not at hand.
        RefusedError: If the licence demanded is not given.
    """
    part: Embedder = _open(config.embedder, config, _EMBEDDERS, EMBEDDER_GROUP, "embedder")
    return part


def list_parts(group: str) -> list[str]:
    """Names of the detectors (`DETECTOR_GROUP`) or embedders (`EMBEDDER_GROUP`) to choose from."""
    own = _DETECTORS if group == DETECTOR_GROUP else _EMBEDDERS
    return [*own, *sorted({point.name for point in entry_points(group=group)} - own.keys())]


def _open(
    name: str,
    config: PipelineConfig,
    own: dict[str, Callable[[PipelineConfig], Any]],
    group: str,
    kind: str,
) -> Any:
    if name in own:
        return own[name](config)
    points = [point for point in entry_points(group=group) if point.name == name]
    if not points:
        raise ConfigError(
            what=f"{kind} is {name!r}",
            why=f"there are {', '.join(list_parts(group))}",
            mend=f"choose one of them, or install a package with an entry point in {group!r}",
        )
    if config.require:
        raise RefusedError(
            what=f"the {kind} {name!r} comes from another package",
            why="mien has no licence card for its weights, and a commercial licence is demanded",
            mend="leave `require` out after reading that package's terms",
        )
    return _load(points[0], config, kind)


def _load(point: EntryPoint, config: PipelineConfig, kind: str) -> Any:
    try:
        return point.load()(config)
    except MienError:
        raise
    except Exception as err:
        raise ConfigError(
            what=f"the {kind} {point.name!r} of {point.value} failed with {type(err).__name__}",
            why=f"its factory raised: {err}",
            mend="report it to the authors of that package",
        ) from err


def _open_network(name: str, config: PipelineConfig, provider: str) -> tuple[Engine, str]:
    """The engine of a packaged network, rewritten once for its provider; and the weights' hash."""
    file, sha256 = packaged_network(name, provider=provider, require=config.require)
    return open_engine(file, provider=provider, threads=config.threads), sha256


def _open_yunet(config: PipelineConfig) -> Detector:
    from mien.faces.detect.yunet import YunetDetector

    engine, sha256 = _open_network("yunet", config, config.detector_provider)
    return YunetDetector(
        engine,
        weights_sha256=sha256,
        score_threshold=config.score_threshold,
        min_face_px=config.min_face_px,
    )


def _open_sface(config: PipelineConfig) -> Embedder:
    from mien.faces.embed.sface import SfaceEmbedder

    engine, sha256 = _open_network("sface", config, config.provider)
    return SfaceEmbedder(engine, weights_sha256=sha256)


def _open_dlib(config: PipelineConfig) -> Embedder:
    from mien.faces.embed.dlib_resnet import DlibEmbedder

    return DlibEmbedder.open(require=config.require)


_DETECTORS: Final[dict[str, Callable[[PipelineConfig], Detector]]] = {"yunet": _open_yunet}
_EMBEDDERS: Final[dict[str, Callable[[PipelineConfig], Embedder]]] = {
    "sface": _open_sface,
    "dlib": _open_dlib,
}
