from .dataset import Dataset as Dataset
from .image import InputSpec as InputSpec
from .image import open_image as open_image
from .image import prepare as prepare
from .index import Index as Index
from .index import Record as Record
from .index import read_index as read_index
from .index import write_index as write_index
from .split import Split as Split
from .split import make_split as make_split
from .split import read_split as read_split
from .split import write_split as write_split
from .store import Store as Store
from .store import pack as pack

__all__: list[str]
