"""DICOM files: pixels and display, never the patient."""
