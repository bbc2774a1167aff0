from .composed import ComposedNetwork as ComposedNetwork
from .composed import InitialParts as InitialParts

__all__: list[str]
