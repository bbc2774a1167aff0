from .audit import Audit as Audit
from .audit import audit_index as audit_index
from .audit import read_pairs as read_pairs
from .audit import write_audit as write_audit

__all__: list[str]
