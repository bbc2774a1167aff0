"""Sphinx builds the documentation from these settings: `make docs`, then open build/docs/index.html."""

from lesionlens import __version__

project = "LesionLens"
version = release = __version__
copyright = "the LesionLens authors. Code under Apache-2.0. A research and decision-support tool, not a medical device"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["deploy"]

myst_heading_anchors = 3

default_role = "literal"  # docstrings write `name`, as Markdown does
add_module_names = False
python_maximum_signature_line_length = 100
autodoc_preserve_defaults = True
autodoc_member_order = "bysource"
autodoc_class_signature = "mixed"
autodoc_typehints_format = "short"
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False

html_theme = "furo"
html_title = f"LesionLens {release}"
html_show_sphinx = False
html_copy_source = False
