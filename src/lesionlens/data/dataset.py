"""A data set: the images, their split and their pixels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lesionlens.core.errors import RecipeError
from lesionlens.core.run import Run
from lesionlens.data.index import Index, Record, read_index, select
from lesionlens.data.split import Split, read_split
from lesionlens.data.store import Store


@dataclass(frozen=True)
class Dataset:
    """Images, split and pixels.

    Attributes:
        index: the images and their diagnoses.
        split: train, validation and test.
        store: the decoded images.
    """

    index: Index
    split: Split
    store: Store

    @classmethod
    def open(cls, index: Path, split: Path, store: Path) -> Dataset:
        """Open the three artifacts.

        Raises:
            ArtifactError: if one is missing or damaged, or they do not belong together.
            SplitError: if a lesion leaks under a protocol that must not.
        """
        images = read_index(index)
        return cls(images, read_split(split, images), Store.open(store))

    @classmethod
    def of_run(cls, run: Run) -> Dataset:
        """Open the data set of a run."""
        return cls.open(index=run.index, split=run.split, store=run.store)

    def ids(self, split: str) -> tuple[str, ...]:
        """Image ids of one split, without those that were left out of the store on request.

        Raises:
            RecipeError: if there are none.
        """
        ids = tuple(image_id for image_id in self.split.ids[split] if image_id not in self.store.dropped)
        if not ids:
            raise RecipeError(
                f"the {split} split of this {self.split.protocol!r} data set holds no images; choose another split, "
                "or make a new one with: lesionlens split"
            )
        return ids

    def n_dropped(self, split: str) -> int:
        """How many images of a split were left out of the store on request."""
        return sum(image_id in self.store.dropped for image_id in self.split.ids[split])

    def records(self, split: str) -> tuple[Record, ...]:
        """Records of `ids(split)`, in their order."""
        return select(self.index, self.ids(split))

    @property
    def hashes(self) -> dict[str, str]:
        """What everything made from it depends on."""
        return {"split": self.split.hash, "store": self.store.hash, "index": self.index.hash}
