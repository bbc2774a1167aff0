from .export import ExportSettings as ExportSettings
from .export import compare as compare
from .graph import GraphNetwork as GraphNetwork
from .graph import write_graph as write_graph

__all__: list[str]
