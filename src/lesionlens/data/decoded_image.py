"""What decoding a file gives: the pixels, and what there is to say about them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from PIL import Image

NAMED = 5


@dataclass(frozen=True, eq=False)
class DecodedImage:
    """One picture of a file, as every stage sees it.

    Attributes:
        image: upright, 8-bit RGB.
        frames: number of pictures in the file; only a DICOM file can hold more than one.
        notes: what was converted, assumed or left out, one sentence each; the same sentence for the
            same thing in every file, so that notes can be counted.
        acquisition: how a dermoscopic DICOM image was taken, as far as it says: `polarization`, `contact`,
            `immersion`, `magnification`.
        pixel_spacing_mm: between rows and between columns, as the file states it; None: it states none. Dots per inch
            of JPEG, PNG and TIFF are a default for printing, and never read.
    """

    image: Image.Image
    frames: int = 1
    notes: tuple[str, ...] = ()
    acquisition: Mapping[str, str] = field(default_factory=dict)
    pixel_spacing_mm: tuple[float, float] | None = None


@dataclass
class NoteTally:
    """Counts what there is to say about many images, and remembers the first names of each note.

    Example:
        >>> tally = NoteTally()
        >>> for name in ("a.png", "b.png"):
        ...     tally.add(name, ["transparent pixels were laid on white"])
        >>> tally.lines()
        ['2 images: transparent pixels were laid on white (a.png, b.png)']
    """

    counts: dict[str, int] = field(default_factory=dict)
    names: dict[str, list[str]] = field(default_factory=dict)

    def add(self, name: str, notes: Iterable[str]) -> None:
        """Count the notes of one image."""
        for note in notes:
            self.counts[note] = self.counts.get(note, 0) + 1
            names = self.names.setdefault(note, [])
            if len(names) < NAMED:
                names.append(name)

    def lines(self) -> list[str]:
        """One line for each note: the count, the note, and up to five names."""
        return [note_line(note, count, self.names[note]) for note, count in self.counts.items()]


def note_line(note: str, count: int, names: list[str]) -> str:
    """What there is to say about `count` images with these first names."""
    return f"{count} {'image' if count == 1 else 'images'}: {note} ({first_names(names, count)})"


def first_names(names: list[str], count: int) -> str:
    """The first names of `count` things, and whether there are more.

    Example:
        >>> first_names(["a", "b", "c", "d", "e", "f"], 6)
        'a, b, c, d, e, ...'
    """
    return ", ".join(names[:NAMED]) + (", ..." if count > NAMED else "")
