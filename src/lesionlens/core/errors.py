"""The errors of LesionLens.

    LesionLensError          exit code 1
    ├── RecipeError          2  a recipe or an argument is wrong
    ├── DataError            3  an input on disk is wrong
    │   ├── ImageError          one image cannot be used
    │   │   └── ImageTooLargeError  it has more pixels than are allowed
    │   ├── SplitError          a split leaks or cannot be made
    │   └── ArtifactError       an artifact is missing, stale or damaged
    ├── ModelError           4  a network, its weights or a bundle is wrong
    │   ├── WeightsError        weights are not available or do not fit
    │   ├── CheckpointError     a checkpoint is damaged or belongs to another run
    │   └── BundleError         a bundle is damaged, of another version, or not runnable here
    ├── TrainingError        1  training cannot continue (a NaN loss)
    ├── DownloadError        1  a file could not be downloaded completely
    ├── StorageError         1  the disk is full or not writable
    └── ClusterError         1  a cluster is not there, or was lost

A message states problem, value, rule and remedy in one line.
"""


class LesionLensError(Exception):
    """Root of the tree; `exit_code` is what the command line returns."""

    exit_code = 1


class RecipeError(LesionLensError):
    """A recipe or a command's argument is wrong."""

    exit_code = 2


class DataError(LesionLensError):
    """An input on disk is wrong."""

    exit_code = 3


class ImageError(DataError):
    """One image cannot be used."""


class ImageTooLargeError(ImageError):
    """An image has more pixels, or needs more memory, than are allowed."""


class SplitError(DataError):
    """A split leaks, or cannot be made from these records."""


class ArtifactError(DataError):
    """An artifact is missing, stale or damaged."""


class ModelError(LesionLensError):
    """A network, its weights or a bundle is wrong."""

    exit_code = 4


class WeightsError(ModelError):
    """Weights are not available, or do not fit the network."""


class CheckpointError(ModelError):
    """A checkpoint is damaged or belongs to another recipe."""


class BundleError(ModelError):
    """A bundle is damaged, of another version, or not runnable here."""


class TrainingError(LesionLensError):
    """Training cannot continue."""


class DownloadError(LesionLensError):
    """A file could not be downloaded completely."""


class StorageError(LesionLensError):
    """The disk is full or not writable."""


class ClusterError(LesionLensError):
    """A cluster of machines is not there, does not fit, or was lost."""
