"""People in films: tracks, one decision a track, late correction; files and live cameras."""

from mien.gallery.watch.config import FILM_MIN_FACE_PX, WatchConfig, film_pipeline
from mien.gallery.watch.film import FilmSummary, watch_file
from mien.gallery.watch.live import RecordLog, watch_live
from mien.gallery.watch.results import SCHEMA, FrameResult, TrackedFace, TrackEvent
from mien.gallery.watch.watcher import Watcher

__all__ = [
    "FILM_MIN_FACE_PX",
    "SCHEMA",
    "FilmSummary",
    "FrameResult",
    "RecordLog",
    "TrackEvent",
    "TrackedFace",
    "WatchConfig",
    "Watcher",
    "film_pipeline",
    "watch_file",
    "watch_live",
]
