from .settings import ServingSettings as ServingSettings

__all__: list[str]
