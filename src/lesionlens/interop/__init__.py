"""Other systems of a clinic: predictions as DICOM objects and FHIR resources, and what brings them there.

No module here loads a library of DICOM or FHIR before it is used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
