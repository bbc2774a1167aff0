from .execution import Options as Options
from .execution import State as State
from .experiment import Outcome as Outcome
from .experiment import ablate as ablate
from .experiment import planned as planned
from .grid import Grid as Grid
from .grid import Row as Row
from .grid import grid_names as grid_names
from .grid import load_grid as load_grid
from .grid import single as single
from .points import Point as Point
from .points import points_of as points_of
from .space import Range as Range
from .space import Space as Space
from .space import load_space as load_space
from .study import Budget as Budget
from .study import search as search

__all__: list[str]
