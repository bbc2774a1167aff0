from .assess import ASSESSMENTS as ASSESSMENTS
from .assess import Assessment as Assessment
from .assess import AssessmentSettings as AssessmentSettings
from .stored import StoredPredictions as StoredPredictions
from .stored import read_stored as read_stored
from .subgroups import assess_subgroups as assess_subgroups

__all__: list[str]
