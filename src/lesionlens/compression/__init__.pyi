from .source import CompressionSettings as CompressionSettings
from .source import open_source as open_source

__all__: list[str]
