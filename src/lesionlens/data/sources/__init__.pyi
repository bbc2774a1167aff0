from .source import SOURCES as SOURCES
from .source import read_source as read_source

__all__: list[str]
