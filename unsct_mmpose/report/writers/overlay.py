"""``NAME.png``: each radiograph with its landmarks."""

from __future__ import annotations

from unsct_mmpose.files import replace_file

from ..picture import draw_prediction, encode_png
from .base import Item, Writer


class OverlayWriter(Writer):
    """The picture of each image."""

    order = 10
    suffix = '.png'

    def write(self, item: Item) -> None:
        """Draw an image."""
        assert item.radiograph is not None
        picture = draw_prediction(item.prediction, item.radiograph)
        replace_file(self.path_of(item), encode_png(picture))
