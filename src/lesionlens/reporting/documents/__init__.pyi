from .documents import WrittenDocuments as WrittenDocuments
from .documents import write_documents as write_documents
from .stated import Stated as Stated

__all__: list[str]
