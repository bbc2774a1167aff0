from .build import Normalise as Normalise
from .build import build_initial_network as build_initial_network
from .build import build_network as build_network
from .conversion import Conversion as Conversion
from .conversion import convert as convert
from .weights import InitialWeights as InitialWeights
from .weights import load_weights as load_weights

__all__: list[str]
