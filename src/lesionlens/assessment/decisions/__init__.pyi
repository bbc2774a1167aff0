from .conformal import ConformalSets as ConformalSets
from .conformal import fit_sets as fit_sets
from .conformal_coverage import evaluate_sets as evaluate_sets
from .decisions import assess_decisions as assess_decisions
from .net_benefit import net_benefit as net_benefit
from .prior import correct_prior as correct_prior
from .recalibration import Recalibration as Recalibration
from .recalibration import choose_recalibration as choose_recalibration
from .reliability import reliability_bands as reliability_bands
from .settings import DecisionSettings as DecisionSettings
from .settings import Resampling as Resampling

__all__: list[str]
