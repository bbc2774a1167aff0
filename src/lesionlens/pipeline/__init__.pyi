from .execution import Stage as Stage
from .execution import Step as Step
from .execution import execute as execute
from .execution import plan as plan
from .job import ImageSource as ImageSource
from .job import Job as Job
from .job import StageResult as StageResult
from .stages import STAGES as STAGES

__all__: list[str]
