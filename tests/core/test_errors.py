import inspect

from lesionlens.core import errors

EXIT_CODES = {
    "LesionLensError": 1,
    "RecipeError": 2,
    "DataError": 3,
    "ImageError": 3,
    "ImageTooLargeError": 3,
    "SplitError": 3,
    "ArtifactError": 3,
    "ModelError": 4,
    "WeightsError": 4,
    "CheckpointError": 4,
    "BundleError": 4,
    "TrainingError": 1,
    "DownloadError": 1,
    "StorageError": 1,
    "ClusterError": 1,
}


def test_exit_codes_of_the_whole_tree():
    found = {name: kind.exit_code for name, kind in inspect.getmembers(errors, inspect.isclass)}
    assert found == EXIT_CODES


def test_the_drawing_names_every_error():
    assert all(name in (errors.__doc__ or "") for name in EXIT_CODES)
