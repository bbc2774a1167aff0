from .build import Site as Site
from .build import SiteSettings as SiteSettings
from .build import build_site as build_site

__all__: list[str]
