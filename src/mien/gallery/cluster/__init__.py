"""Unknown people: faces without names, put together by person.

Average-linkage agglomeration on the cosine, over a graph of candidate pairs, with corrections by
the user. Nobody is named here, and nothing is stored: `gallery` holds people, `cli` the files.
"""

from mien.gallery.cluster.config import ClusterConfig
from mien.gallery.cluster.incremental import Change, IncrementalClusters
from mien.gallery.cluster.links import Links
from mien.gallery.cluster.once import Clustering, cluster_faces

__all__ = [
    "Change",
    "ClusterConfig",
    "Clustering",
    "IncrementalClusters",
    "Links",
    "cluster_faces",
]
