"""What tells a model and its calibration from others, the same for every backend."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from unsct_mmpose.anatomy import HIP, LandmarkSet
from unsct_mmpose.anatomy.records import USUAL_DECIDERS


def calibration_identity(calibration: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the part of a backend's identity that is about its calibration.

    Args:
        calibration: ``Calibration.to_dict()``; None when the model has none, everything is then
            None.
    """
    if calibration is None:
        names = ('calibration_sha256', 'region_level', 'interval_level', 'calibration')
        return dict.fromkeys(names)
    text = json.dumps(calibration, sort_keys=True, allow_nan=False)
    return dict(
        calibration_sha256=hashlib.sha256(text.encode()).hexdigest(),
        region_level=calibration['region_level'],
        interval_level=calibration['interval_level'],
        calibration={
            'rule': calibration['rule'],
            'fewest_patients': calibration.get('patients'),
            **calibration['provenance'],
        },
    )


def evidences_identity(names: Iterable[str]) -> dict[str, Any]:
    """Return what a backend's identity says of ways to decide that are not the usual three."""
    names = tuple(names)
    return {} if names == USUAL_DECIDERS else dict(evidences=names)


def landmarks_identity(landmarks: LandmarkSet) -> dict[str, Any]:
    """Return what a backend's identity says of landmarks that are not the hip's."""
    return {} if landmarks == HIP else dict(landmarks=landmarks.to_dict())
