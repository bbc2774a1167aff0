from .corruptions import CORRUPTIONS as CORRUPTIONS
from .corruptions import Corruption as Corruption
from .corruptions import corrupt as corrupt
from .hard_images import disagreement as disagreement
from .label_errors import LabelErrors as LabelErrors
from .published import beside_published as beside_published
from .reader_comparison import compare_with_readers as compare_with_readers
from .readers import read_readers as read_readers
from .repeatability import Ratings as Ratings
from .repeatability import fleiss_kappa as fleiss_kappa
from .settings import StressSettings as StressSettings
from .stress import Comparisons as Comparisons
from .stress import stress_network as stress_network

__all__: list[str]
