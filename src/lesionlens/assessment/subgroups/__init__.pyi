from .attributes import Attribute as Attribute
from .gaps import gaps_between as gaps_between
from .group_metrics import Cases as Cases
from .group_metrics import group_metrics as group_metrics
from .run_subgroups import subgroups_of_run as subgroups_of_run
from .skin_tone import ita_band as ita_band
from .skin_tone import skin_of_border as skin_of_border
from .subgroups import assess_subgroups as assess_subgroups

__all__: list[str]
