from .attribution import build_explainer as build_explainer
from .cam import CamHead as CamHead
from .cam import ExplainedNetwork as ExplainedNetwork
from .cam import find_head as find_head
from .settings import ExplainSettings as ExplainSettings

__all__: list[str]
