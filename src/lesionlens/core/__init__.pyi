from .diagnoses import Diagnosis as Diagnosis
from .errors import LesionLensError as LesionLensError
from .labels import HAM10000 as HAM10000
from .labels import ISIC2019 as ISIC2019
from .labels import LabelSet as LabelSet
from .progress import Reporter as Reporter
from .recipe import Recipe as Recipe
from .recipe import SplitRecipe as SplitRecipe
from .recipe_file import load_recipe as load_recipe
from .recipe_file import recipe_from as recipe_from
from .recipe_file import recipe_to_toml as recipe_to_toml
from .run import Run as Run

__all__: list[str]
