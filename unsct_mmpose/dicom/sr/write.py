"""Writing a DICOM structured report: landmarks and measurements of one radiograph."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydicom import Dataset

from unsct_mmpose.anatomy import LandmarkEstimate, Measurement
from unsct_mmpose.dicom.header import quiet
from unsct_mmpose.dicom.radiograph import RadiographError
from unsct_mmpose.files import replace_file

from .records import Algorithm, check_landmarks, check_measurements
from .source import read_source


def write_structured_report(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    landmarks: Sequence[LandmarkEstimate],
    measurements: Sequence[Measurement],
    algorithm: Algorithm,
    lengths_at: Literal['bone', 'detector'] | None = None,
    magnification: float | None = None,
    interval_level: float = 0.95,
    simulated: bool = False,
    keep_identity: bool = False,
    observer: str | None = None,
    frame: int | None = None,
) -> str:
    """Write a Comprehensive SR (TID 1500) about an image, unverified and marked as research.

    The report belongs to the study of its image, in a series of its own. What is not measured or
    not reported appears by name with its reason, never as a number or a place.

    Args:
        source: the DICOM image that was measured.
        out: the file to write; it appears whole or not at all, in a folder that exists.
        landmarks: each at most once; places of those that are not reported are not written.
        measurements: each at most once; None with a reason where there is no value.
        algorithm: what found the landmarks.
        lengths_at: where mm hold: ``'bone'`` or ``'detector'``; needed where there is a length.
        magnification: size on the detector over size at the bone, if known.
        interval_level: share of values, in (0, 1), that low and high are meant to enclose.
        simulated: the image shows no person; also taken from the image's SyntheticData.
        keep_identity: copy patient and study attributes from the image; else they are empty, and
            only the UIDs tie the report to its study.
        observer: DICOM person name of who is responsible, such as ``'Doe^Jane'``.
        frame: which frame of an image that holds several, from 0.

    Returns:
        SOP Instance UID of the report.

    Raises:
        RadiographError: the source is no DICOM image or lacks what a report refers to, or ``out``
            cannot be written.
        ValueError: an argument contradicts itself, another one or the image.
        ImportError: highdicom is not installed.
    """
    if Path(out).resolve() == Path(source).resolve():
        raise ValueError(f'{out}: out is the image itself; give the report a file of its own')
    if not (landmarks or measurements):
        raise ValueError('there is nothing to report: give landmarks or measurements')
    if not (algorithm.name.strip() and algorithm.version.strip()):
        raise ValueError('algorithm: give it a name and a version')
    check_measurements(measurements, landmarks)
    _check_settings(measurements, lengths_at, magnification, interval_level)
    document, content = _import_builders()
    with quiet():  # so are highdicom's
        header = read_source(source, keep_identity=keep_identity)
        _check_frame(source, header, frame)
        check_landmarks(landmarks, (header.Columns, header.Rows))
        context = content.Context(
            algorithm=algorithm,
            lengths_at=lengths_at,
            magnification=magnification,
            interval_level=interval_level,
            observer=observer,
            frame=frame if 'NumberOfFrames' in header else None,
            simulated=simulated or 'SyntheticData' in header,
        )
        try:
            uid, encoded = document.encode_report(header, landmarks, measurements, context)
        except document.DocumentError as error:
            raise RadiographError(source, str(error)) from None
    try:
        replace_file(out, encoded)
    except OSError as error:
        raise RadiographError(out, f'it cannot be written ({error.strerror})') from None
    return str(uid)


def _check_frame(source: str | os.PathLike[str], header: Dataset, frame: int | None) -> None:
    frames = header.get('NumberOfFrames')
    if frames is None and frame in (None, 0):
        return
    if frame is None:
        raise RadiographError(source, f'it holds {frames} frames; choose one with frame')
    if not 0 <= frame < (frames or 1):
        raise ValueError(f'frame must lie between 0 and {(frames or 1) - 1}, not {frame}')


def _check_settings(
    measurements: Sequence[Measurement],
    lengths_at: str | None,
    magnification: float | None,
    interval_level: float,
) -> None:
    """Refuse lengths without a plane, and settings out of range."""
    if lengths_at not in (None, 'bone', 'detector'):
        raise ValueError(f"lengths_at must be 'bone' or 'detector', not {lengths_at!r}")
    for measurement in measurements:
        if measurement.value is not None and measurement.unit == 'mm' and lengths_at is None:
            raise ValueError(f"{measurement.name} is a length: say lengths_at='bone' or 'detector'")
    if magnification is not None and not 0 < magnification < math.inf:
        raise ValueError(f'magnification must be positive, not {magnification}')
    if not 0 < interval_level < 1:
        raise ValueError(f'interval_level must lie between 0 and 1, not {interval_level}')


def _import_builders() -> tuple[Any, Any]:
    """Import what needs highdicom, which is heavy and optional."""
    try:
        from . import content as sr_content
        from . import document as sr_document
    except ModuleNotFoundError as error:
        if (error.name or '').split('.')[0] != 'highdicom':
            raise
        raise ImportError(
            "a structured report needs highdicom: pip install 'unsct-mmpose[report]'"
        ) from None
    return sr_document, sr_content
