"""A run folder: where every artifact of one run lies."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from lesionlens.core.artifact import write_text
from lesionlens.core.errors import CheckpointError
from lesionlens.core.recipe import Recipe
from lesionlens.core.recipe_file import recipe_to_toml

FILES = {
    "recipe": "recipe.toml",
    "images": "images",
    "index": "index.csv",
    "audit": "audit.json",
    "split": "split.json",
    "plan": "plan.csv",
    "gallery": "gallery.png",
    "store": "store",
    "unlabelled": "unlabelled",
    "pretraining": "pretrain",
    "training": "train",
    "predictions": "predictions.npz",
    "scores": "scores.json",
    "validation_predictions": "validation.npz",
    "decisions": "assessment/decisions.json",
    "subgroups": "assessment/subgroups.json",
    "robustness": "assessment/robustness.json",
    "external": "external",
    "documents": "documents",
    "explanation": "explain",
    "bundle": "bundle",
    "compression": "compress",
    "example": "example/prediction.json",
    "report": "report.html",
}


@dataclass(frozen=True)
class Run:
    """Paths of a run; each command reads what the ones before it wrote.

    Make one with `Run.at`, which takes every path that lies elsewhere.

    Attributes:
        folder: the run folder.
        recipe: the resolved recipe, TOML.
        images: the embedded synthetic images, a folder.
        index: the images.
        audit: what is wrong with them; its contact sheet lies beside it as .jpg.
        split: train, validation and test.
        plan: the offline copies.
        gallery: every augmentation on one lesion, PNG.
        store: packed images, a folder.
        unlabelled: packed images without diagnoses, a folder.
        pretraining: weights and history of a pretraining, a folder.
        training: checkpoints and history, a folder.
        predictions: of one split by the best checkpoint.
        scores: metrics of these predictions.
        validation_predictions: of the validation split by the best checkpoint.
        decisions: operating points, calibration and what follows from them, JSON.
        subgroups: scores by subgroup, JSON.
        robustness: scores under corruption and agreement between photographs, JSON.
        external: scores on other data sets, a folder with one folder for each.
        documents: model card and checklists, a folder.
        explanation: heat maps and their faithfulness, a folder.
        bundle: what a clinic gets, a folder.
        compression: smaller variants and their comparison, a folder.
        example: prediction of one test image; its overlay lies beside it.
        report: one HTML file.

    Example:
        >>> Run.at(Path("runs/light"), index=Path("all.csv")).index.name
        'all.csv'
        >>> Run.at(Path("runs/light")).best.as_posix()
        'runs/light/train/best.safetensors'
    """

    folder: Path
    recipe: Path
    images: Path
    index: Path
    audit: Path
    split: Path
    plan: Path
    gallery: Path
    store: Path
    unlabelled: Path
    pretraining: Path
    training: Path
    predictions: Path
    scores: Path
    validation_predictions: Path
    decisions: Path
    subgroups: Path
    robustness: Path
    external: Path
    documents: Path
    explanation: Path
    bundle: Path
    compression: Path
    example: Path
    report: Path

    @classmethod
    def at(cls, folder: str | Path, **paths: Path | None) -> Run:
        """The run in `folder`; `paths` name artifacts that lie elsewhere, None takes the usual place."""
        folder = Path(folder)
        return cls(folder, **{name: paths.get(name) or folder / file for name, file in FILES.items()})

    @classmethod
    def of_checkpoint(cls, checkpoint: Path, **paths: Path | None) -> Run:
        """The run that a checkpoint in `train/` belongs to.

        Raises:
            CheckpointError: if there is no such file.
        """
        if not checkpoint.is_file():
            raise CheckpointError(f"{checkpoint} is no file; give the checkpoint of a run, such as run/train/best.safetensors")
        return cls.at(checkpoint.resolve().parent.parent, **paths)

    def with_scores_in(self, folder: Path) -> Run:
        """The same run with predictions and scores in another folder."""
        names = ("predictions", "scores", "validation_predictions")
        return replace(self, **{name: folder / FILES[name] for name in names})

    @property
    def contact_sheet(self) -> Path:
        """Suspected pairs of the audit side by side, JPEG."""
        return self.audit.with_suffix(".jpg")

    @property
    def best(self) -> Path:
        """The checkpoint of the best epoch."""
        return self.training / "best.safetensors"

    @property
    def last(self) -> Path:
        """The state that training resumes from."""
        return self.training / "last.safetensors"

    @property
    def history(self) -> Path:
        """Metrics of every epoch, JSON lines."""
        return self.training / "history.jsonl"

    @property
    def events(self) -> Path:
        """TensorBoard events, a folder."""
        return self.training / "events"

    @property
    def faithfulness(self) -> Path:
        """How true the heat maps are."""
        return self.explanation / "faithfulness.json"

    @property
    def comparison(self) -> Path:
        """Variants side by side."""
        return self.compression / "compression.json"

    def write_recipe(self, recipe: Recipe) -> None:
        """Write the resolved recipe, so that single commands can end in a report too."""
        write_text(self.recipe, recipe_to_toml(recipe))
