from .offline import Plan as Plan
from .offline import plan_training as plan_training
from .offline import read_plan as read_plan
from .offline import write_plan as write_plan
from .online import mix as mix
from .policy import Policy as Policy
from .policy import recipe_policy as recipe_policy
from .policy import table_3 as table_3
from .transform import augment as augment

__all__: list[str]
