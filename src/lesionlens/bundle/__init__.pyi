from .bundle import Bundle as Bundle
from .bundle import open_bundle as open_bundle
from .decision import Decision as Decision
from .gate import Gate as Gate
from .picture import heat_map as heat_map
from .prediction import Prediction as Prediction
from .runtime import Predictor as Predictor
from .tuning import tune as tune

__all__: list[str]
