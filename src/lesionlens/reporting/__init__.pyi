from .report import build_report as build_report
from .report import write_report as write_report

__all__: list[str]
