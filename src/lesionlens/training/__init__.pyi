from .checkpoint import CheckpointInfo as CheckpointInfo
from .checkpoint import load_info as load_info
from .checkpoint import load_network as load_network
from .checkpoint import save_network as save_network
from .distributed import World as World
from .distributed import join_world as join_world
from .history import Epoch as Epoch
from .history import read_history as read_history
from .loss import Loss as Loss
from .run import TrainingData as TrainingData
from .run import train_run as train_run

__all__: list[str]
