from .dataset import write_synthetic as write_synthetic

__all__: list[str]
