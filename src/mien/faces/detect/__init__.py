"""Finding faces and their five landmarks."""

from mien.faces.detect.protocol import Detections, Detector

__all__ = ["Detections", "Detector"]
