from .archive import Scoring as Scoring
from .archive import score_archive as score_archive
from .connection import Cluster as Cluster
from .connection import connected as connected
from .manifest import Manifest as Manifest
from .manifest import read_manifest as read_manifest
from .results import read_results as read_results
from .shards import Shard as Shard

__all__: list[str]
