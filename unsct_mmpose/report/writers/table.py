"""``predictions.csv``: one row for each landmark and each measurement of each image."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import Any

from unsct_mmpose.files import jsonable

from ..prediction import DECIMALS, MEASUREMENT_FIELDS, Prediction
from .base import Item, Writer

COLUMNS = (
    'image', 'result', 'kind', 'name', 'side', 'unit', 'value', 'low', 'high', 'standard_error',
    'x_px', 'y_px', 'reported', 'presence', 'uncertainty', 'reason', 'reference', 'plane',
    'reference_line', 'image_state', 'calibrated', 'simulated', 'systematic_error', 'promise',
    'path', 'sha256',
)  # fmt: skip


class TableWriter(Writer):
    """The table of a run."""

    order = 0

    def open(self) -> None:
        """Write the names of the columns."""
        file = self.run.open_text('predictions.csv')
        self._rows = csv.DictWriter(file, COLUMNS, lineterminator='\n')
        self._rows.writeheader()

    def add(self, item: Item) -> None:
        """Write the rows of an image."""
        self._rows.writerows(table_rows(item.prediction, item.name))


def table_rows(prediction: Prediction, result: str) -> Iterator[dict[str, Any]]:
    """Return the rows about one image; unknown values are empty."""
    common = dict(
        image=prediction.image.file_name,
        result=result,
        plane=prediction.spacing.plane,
        reference_line=prediction.reference_line,
        image_state=prediction.image_state,
        calibrated=_word(prediction.calibrated),
        simulated=_word(prediction.simulated),
        path=prediction.image.path or '',
        sha256=prediction.image.sha256,
    )
    for index, landmark in enumerate(prediction.landmarks):
        yield common | dict(
            kind='landmark',
            name=landmark.name,
            side=prediction.landmark_set.side_of(index),
            unit='px',
            x_px=jsonable(landmark.x, DECIMALS),
            y_px=jsonable(landmark.y, DECIMALS),
            reported=_word(landmark.reported),
            presence=jsonable(landmark.presence, DECIMALS),
            uncertainty=jsonable(landmark.uncertainty, DECIMALS),
            promise=prediction.region_promise,
        )
    for measurement in prediction.measurements:
        fields = {
            name: jsonable(getattr(measurement, name), DECIMALS) for name in MEASUREMENT_FIELDS
        }
        yield common | dict(kind='measurement', promise=prediction.interval_promise, **fields)


def _word(value: bool | None) -> str:
    return '' if value is None else str(value).lower()
