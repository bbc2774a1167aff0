from .api import assess as assess
from .api import audit as audit
from .api import evaluate as evaluate
from .api import evaluate_external as evaluate_external
from .api import grad_cam as grad_cam
from .api import open_dataset as open_dataset
from .api import run as run
from .api import split as split
from .api import train as train
from .bundle.runtime import Predictor as Predictor
from .core.recipe import Recipe as Recipe
from .core.recipe_file import load_recipe as load_recipe
from .core.run import Run as Run
from .data.dataset import Dataset as Dataset
from .evaluation import metrics as metrics

__version__: str
__all__: list[str]
