from .checkpoint_model import checkpoint_model as checkpoint_model
from .evaluation import ExternalEvaluation as ExternalEvaluation
from .evaluation import ExternalSettings as ExternalSettings
from .evaluation import evaluate_external as evaluate_external
from .frozen_model import FrozenModel as FrozenModel
from .frozen_model import bundle_model as bundle_model
from .label_mapping import LabelMapping as LabelMapping
from .label_mapping import map_labels as map_labels
from .leak_screening import screen as screen
from .official import official_metrics as official_metrics
from .prior_shift import estimated_prior as estimated_prior
from .submission import write_submission as write_submission

__all__: list[str]
