from . import metrics as metrics
from .calibration import expected_calibration_error as expected_calibration_error
from .calibration import reliability_bins as reliability_bins
from .calibration import softmax as softmax
from .evaluate import PredictionSettings as PredictionSettings
from .evaluate import predict_split as predict_split
from .intervals import Interval as Interval
from .intervals import lesion_bootstrap as lesion_bootstrap
from .metric_intervals import metric_intervals as metric_intervals
from .pooling import pool as pool
from .predictions import Predictions as Predictions
from .predictions import read_predictions as read_predictions
from .predictions import write_predictions as write_predictions
from .scores import score as score
from .weighted_metrics import WeightedMetrics as WeightedMetrics

__all__: list[str]
