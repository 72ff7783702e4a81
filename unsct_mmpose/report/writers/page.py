"""``report.html``: all images of a short run, or the table of a long one's pages, ``NAME.html``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import cv2
import numpy as np

from unsct_mmpose.files import replace_file

from .base import Item, Run, Writer


class PageWriter(Writer):
    """The report of a run, and the page of each image where one page would grow too long."""

    order = 20
    suffix = '.html'
    optional = True

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self.reads_again = run.whole
        self._sections: list[str] = []

    @classmethod
    def is_wanted(cls, run: Run) -> bool:
        """Tell whether a run has reports."""
        return run.report

    def is_there(self, item: Item) -> bool:
        """Tell whether the image's page is there, where a run has one for each."""
        return self.run.whole or super().is_there(item)

    def open(self) -> None:
        """Begin the report with its table."""
        from ..html import index_head, page_head

        self._file = self.run.open_text('report.html')
        self._file.write(page_head('', 'Table of a run') + index_head())

    def write(self, item: Item) -> None:
        """Write the page of one image, where a run has one for each."""
        if self.run.whole or item.radiograph is None:
            return
        from ..html import render_report

        prediction = item.prediction
        title = prediction.image.path or prediction.image.file_name
        page = render_report([(prediction, item.radiograph)], title)
        replace_file(self.path_of(item), page.encode())

    def add(self, item: Item) -> None:
        """Write an image's line of the table; keep its section for the end."""
        from ..html import index_row, render_section, thumbnail

        links = [('json', f'{quote(item.name)}.json')]
        if self.run.whole and item.radiograph is not None:
            number = len(self._sections) + 1
            self._sections.append(render_section(item.prediction, item.radiograph, number))
            links.insert(0, ('section', f'#image-{number}'))
        elif not self.run.whole:
            links.insert(0, ('page', f'{quote(item.name)}.html'))
        if item.radiograph is not None:
            picture = thumbnail(item.prediction, item.radiograph)
        else:
            picture = _stored_thumbnail(self.run.folder / f'{item.name}.png')
        self._file.write(index_row(item.prediction, picture, links))

    def close(self, counts: Sequence[tuple[str, str]], errors: Sequence[tuple[str, str]]) -> None:
        """End the table, and write the sections."""
        from ..html import index_foot, page_foot

        self._file.write(index_foot(counts, errors))
        self._file.writelines(self._sections)
        self._file.write(page_foot())


def _stored_thumbnail(path: Path) -> np.ndarray | None:
    try:  # not by its path, which need not be UTF-8
        content = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError:
        return None
    stored = cv2.imdecode(content, cv2.IMREAD_REDUCED_COLOR_4) if content.size else None
    return None if stored is None else np.ascontiguousarray(stored[..., ::-1])
