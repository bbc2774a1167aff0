"""The inputs of a compression: a checkpoint, its images and its bundle, checked before the first variant is built."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from lesionlens.augment.offline import Plan
from lesionlens.bundle.bundle import Bundle, open_bundle
from lesionlens.compression.evaluation import SplitImages
from lesionlens.compression.quantize import check_installed
from lesionlens.core.artifact import hash_file, is_current, read_json, write_json, write_stamp
from lesionlens.core.errors import ArtifactError, CheckpointError, RecipeError, StorageError
from lesionlens.core.progress import SILENT, Reporter
from lesionlens.core.recipe import CompressionRecipe, EvaluationRecipe
from lesionlens.core.recipe_file import recipe_from
from lesionlens.data.dataset import Dataset
from lesionlens.evaluation.evaluate import check_belongs
from lesionlens.training.checkpoint import CheckpointInfo, load_info, load_network

TRAINED_VARIANTS = ("channel-pruned", "channel-pruned-int8", "distilled", "distilled-int8")


@dataclass(frozen=True)
class CompressionSettings:
    """How variants are measured; the recipe says which variants there are.

    Attributes:
        rounds: timed calls of each variant at batch 1; 0 measures neither time nor memory.
        batch_sizes: batch sizes at which time is measured.
        threads: threads of computation while time is measured; 0 leaves the number to each runtime.
        batch_size: images in one pass while predicting.
        compared_images: real images of the validation split on which every graph is compared with torch.
        resamples: bootstrap resamples; 0 uses the number in the checkpoint's recipe.
    """

    rounds: int = 20
    batch_sizes: tuple[int, ...] = (1, 64)
    threads: int = 0
    batch_size: int = 32
    compared_images: int = 32
    resamples: int = 0

    def __post_init__(self) -> None:
        for name, value, least in (
            ("rounds", self.rounds, 0),
            ("threads", self.threads, 0),
            ("batch size", self.batch_size, 1),
            ("compared images", self.compared_images, 1),
            ("batch sizes", min(self.batch_sizes, default=0), 1),
        ):
            if not least <= value <= 100_000:
                raise RecipeError(f"{name} = {value}; it must be from {least} to 100000")
        EvaluationRecipe().overridden(resamples=self.resamples)


@dataclass(frozen=True)
class Source:
    """A trained network and everything else that variants are built from.

    Attributes:
        checkpoint: its file.
        hash: SHA-256 of that file.
        network: in float, evaluation mode.
        info: metadata of the checkpoint.
        dataset: index, split and store.
        bundle: folder of its bundle.
        out: output folder.
        recipe: which variants to build.
        settings: how to measure them.
        plan: the training plan; only variants that are trained need it.
        reporter: receives messages and progress.
    """

    checkpoint: Path
    hash: str
    network: nn.Module
    info: CheckpointInfo
    dataset: Dataset
    bundle: Path
    out: Path
    recipe: CompressionRecipe
    settings: CompressionSettings
    plan: Plan | None = None
    reporter: Reporter = SILENT

    @property
    def size(self) -> int:
        """Side of the network's images, pixels."""
        return self.info.spec.size

    @property
    def resamples(self) -> int:
        """Number of bootstrap resamples."""
        return self.info.recipe.evaluation.overridden(resamples=self.settings.resamples).resamples

    def images(self, name: str) -> SplitImages:
        """Images of one split.

        Raises:
            RecipeError: if it holds no images.
        """
        return SplitImages(name, self.dataset.ids(name), self.dataset, self.info.spec)

    def images_hash(self) -> dict[str, str]:
        """Hashes of the images that every metric depends on."""
        return self.dataset.hashes

    def made_from(self) -> dict[str, str]:
        """Hashes of the network and the images that every metric depends on."""
        return {"checkpoint": self.hash, **self.images_hash()}

    def cached_json(self, path: Path, made_from: dict[str, str], compute: Callable[[], Any]) -> Any:
        """The content of a JSON file, computed only if the file is missing or was made from other inputs."""
        if not is_current(path, made_from):
            write_json(path, compute())
            write_stamp(path, made_from)
        return read_json(path)


def compression_recipe(checkpoint: Path, overrides: Sequence[str] = ()) -> CompressionRecipe:
    """The compression section of the checkpoint's recipe, with overrides.

    Args:
        checkpoint: best.safetensors of a run.
        overrides: `compression.key=value` texts.

    Raises:
        RecipeError: if an override belongs to another section, or its key or value is unknown.
        CheckpointError: if the checkpoint is damaged.
    """
    for text in overrides:
        if not text.strip().startswith("compression."):
            raise RecipeError(f"--set {text!r}; only keys of [compression] may change here, such as compression.variants=int8")
    info = load_info(checkpoint)
    return recipe_from(info.recipe.to_json(), overrides).compression


def trained_variants(recipe: CompressionRecipe) -> list[str]:
    """The variants that are trained and therefore need the run's plan."""
    return [name for name in recipe.variants if name in TRAINED_VARIANTS]


def open_source(
    checkpoint: Path,
    dataset: Dataset,
    bundle: Path,
    out: Path,
    recipe: CompressionRecipe,
    settings: CompressionSettings,
    plan: Plan | None = None,
    reporter: Reporter = SILENT,
) -> Source:
    """Check everything that can be checked before the first variant is built.

    Raises:
        CheckpointError: if checkpoint, dataset and bundle do not belong together.
        BundleError: if the bundle is missing or damaged.
        ModelError: if static int8 is requested and NNCF is missing.
        ArtifactError: if a variant needs training and `plan` is None.
        RecipeError: if the validation or test split is empty.
        StorageError: if `out` or the bundle's folder is not writable.
    """
    network, info = load_network(checkpoint)
    check_belongs(checkpoint, info, dataset)
    source = Source(checkpoint, hash_file(checkpoint), network, info, dataset, bundle, out, recipe, settings, plan, reporter)
    _check_bundle(source, open_bundle(bundle))
    for split in ("validation", "test"):
        source.images(split)
    if any("int8" in name and name not in ("dynamic-int8", "pruned-int8") for name in recipe.variants):
        check_installed()
    trained = trained_variants(recipe)
    if trained and plan is None:
        raise ArtifactError(f"variant {trained[0]!r} is trained, which needs the run's plan.csv; give it with --plan")
    _check_writable(out)
    _check_writable(bundle.resolve().parent)  # a bundle is built there before it replaces the old one
    return source


def _check_bundle(source: Source, bundle: Bundle) -> None:
    if bundle.facts["origin"]["hashes"].get("checkpoint") != source.hash:
        raise CheckpointError(
            f"bundle {bundle.path} was exported from another checkpoint than {source.checkpoint}; export this one first with: "
            f"lesionlens export {source.checkpoint}"
        )


def _check_writable(folder: Path) -> None:
    """Refuse a folder that is not writable, before hours of work."""
    probe = folder / ".writable"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except FileExistsError as error:
        raise StorageError(f"{folder} is a file; choose another --out") from error
    except OSError as error:
        raise StorageError(f"may not write {folder} ({error.strerror}); choose another --out, or copy the bundle") from error
