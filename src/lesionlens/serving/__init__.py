"""The HTTP service of a bundle: API, page, record and access. No torch is loaded."""
