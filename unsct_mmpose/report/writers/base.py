"""What an output format can do, and all formats that there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import ClassVar, Protocol, TextIO

from unsct_mmpose.dicom import Radiograph

from ..prediction import Prediction


@dataclass(frozen=True, eq=False)
class Item:
    """One image of a run.

    Attributes:
        prediction: of the image.
        name: of its results.
        path: the file that was read.
        radiograph: None where the results were there already and no format asked for it.
    """

    prediction: Prediction
    name: str
    path: Path
    radiograph: Radiograph | None = None


class Run(Protocol):
    """What a format knows of its run.

    Attributes:
        folder: where results go.
        whole: whether the run is so short that one page holds all of its images.
        report: whether pages for people are wanted.
        structured_report: whether DICOM structured reports are wanted.
    """

    folder: Path
    whole: bool
    report: bool
    structured_report: bool

    def open_text(self, name: str) -> TextIO:
        """Open a file of the whole run, which appears at its end or not at all."""


class Writer:
    """One output format; what it leaves out does nothing.

    An ``OSError`` of :meth:`write` costs the image, one of the others the files of the whole run.
    The json of an image is no format: the run writes it after all of them, so that an image whose
    json is there is complete.

    Attributes:
        order: formats take their turn by this.
        suffix: of the file that each image has; empty where it has none.
        optional: whether a run can do without; then what an earlier run left of an image is
            removed before another prediction of it is written.
        from_record: whether a file that an earlier run did not write can be made from its json.
        reads_again: whether an image whose results are there already must be read again.
        written: files that were written, for a format that counts them.
        failures: files that this format could not be written of, with causes, where their other
            results stand.

    Args:
        run: the run.
    """

    order: ClassVar[int]
    suffix: ClassVar[str] = ''
    optional: ClassVar[bool] = False
    from_record: ClassVar[bool] = False
    reads_again: bool = False

    def __init__(self, run: Run) -> None:
        self.run = run
        self.written = 0
        self.failures: list[tuple[str, str]] = []

    @classmethod
    def is_wanted(cls, run: Run) -> bool:
        """Tell whether a run has this format."""
        return True

    def is_there(self, item: Item) -> bool:
        """Tell whether an earlier run has written the image's file, or needed none."""
        return not self.suffix or self.path_of(item).is_file()

    def path_of(self, item: Item) -> Path:
        """Return the path of the image's file."""
        return self.run.folder / f'{item.name}{self.suffix}'

    def open(self) -> None:
        """Begin the files of the whole run."""

    def write(self, item: Item) -> None:
        """Write the file of one image, just predicted; or from its json, where that is enough."""

    def add(self, item: Item) -> None:
        """Add an image to the files of the whole run."""

    def close(self, counts: Sequence[tuple[str, str]], errors: Sequence[tuple[str, str]]) -> None:
        """Write what comes after the last image.

        Args:
            counts: what became of the files, in words, with numbers.
            errors: what could not be predicted, with causes.
        """


def all_formats() -> list[type[Writer]]:
    """Return the class of each format in this folder, in their order."""
    package = import_module(__package__)
    names = [f'{__package__}.{module.name}' for module in iter_modules(package.__path__)]
    formats = [
        kind
        for name in names
        for kind in vars(import_module(name)).values()
        if isinstance(kind, type) and issubclass(kind, Writer) and kind.__module__ == name
    ]
    return sorted((kind for kind in formats if kind is not Writer), key=lambda kind: kind.order)
