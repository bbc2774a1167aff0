from .result import Result as Result
from .secondary_capture import secondary_capture as secondary_capture
from .source_image import SourceImage as SourceImage
from .source_image import read_source as read_source
from .structured_report import structured_report as structured_report

__all__: list[str]
