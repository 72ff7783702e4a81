"""How long a pixel is, and at which plane: detector or patient."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from pydicom import Dataset

from unsct_mmpose.anatomy import Spacing

from .header import code, comma_advice, has, is_unreadable, named, number, number_text, numbers
from .pixel_format import sop_class_name

PLAUSIBLE_SPACING_MM = (0.02, 5.0)
"""Width or height of a pixel of a radiograph, on whatever way it comes: header, json, --spacing."""

_PLAUSIBLE_MAGNIFICATION = (1.0, 2.0)
_ODD_ASPECT = 4.0

_SLICES = ('CT', 'MR', 'PT', 'NM', 'US', 'OPT', 'OCT', 'IVUS', 'IVOCT')
_SLICE_CLASSES = ('CT Image', 'MR Image', 'Positron', 'Nuclear', 'Ultrasound', 'Tomography')
_UNITS = ((0.001, 'micrometres'), (10.0, 'centimetres'), (1000.0, 'metres'), (25.4, 'inches'))
_SAME = 0.01
_CONFLICT = 0.05


def spacing_problem(spacing_xy_mm: Sequence[float]) -> str | None:
    """Say why two numbers can be no spacing of a radiograph's pixels; None when they can.

    Example:
        >>> spacing_problem((0.143, 0.143))
        >>> spacing_problem((143, 143))
        'is not a plausible spacing (0.02 to 5 mm); in micrometres it would be 0.143 x 0.143 mm'
    """
    low, high = PLAUSIBLE_SPACING_MM
    if all(low <= value <= high for value in spacing_xy_mm):
        return None
    problem = f'is not a plausible spacing ({low:g} to {high:g} mm)'
    for factor, unit in _UNITS:
        meant = [value * factor for value in spacing_xy_mm]
        if all(0.04 <= value <= 1.0 for value in meant):  # mm, what is usual
            return f'{problem}; in {unit} it would be {meant[0]:g} x {meant[1]:g} mm'
    return problem


def spacing_question(spacing_xy_mm: Sequence[float]) -> str | None:
    r"""Say what is odd about a spacing that can be; None when nothing is.

    Example:
        >>> spacing_question((1.0, 1.0))
        '1 x 1 mm is what programs write that do not know the spacing'
        >>> spacing_question((0.8, 0.2))
        'its pixels are 4 times as wide as high'
    """
    x_mm, y_mm = spacing_xy_mm
    if x_mm == y_mm == 1.0:
        return '1 x 1 mm is what programs write that do not know the spacing'
    if x_mm >= _ODD_ASPECT * y_mm:
        return f'its pixels are {x_mm / y_mm:.3g} times as wide as high'
    if y_mm >= _ODD_ASPECT * x_mm:
        return f'its pixels are {y_mm / x_mm:.3g} times as high as wide'
    return None


def magnification_problem(magnification: float) -> str | None:
    """Say why a number can be no magnification; None when it can.

    Example:
        >>> magnification_problem(1.15)
        >>> magnification_problem(115)
        'is not a plausible magnification (1 to 2); as a percentage it would be 1.15'
    """
    low, high = _PLAUSIBLE_MAGNIFICATION
    if low <= magnification <= high:
        return None
    problem = f'is not a plausible magnification ({low:g} to {high:g})'
    if low <= magnification / 100 <= high:
        return f'{problem}; as a percentage it would be {magnification / 100:g}'
    if magnification > 0 and low <= 1 / magnification <= high:
        return f'{problem}; the other way round it would be {1 / magnification:.4g}'
    return problem


def check_spacing(spacing_xy_mm: Sequence[float]) -> tuple[float, float]:
    """Return a caller's spacing as two floats.

    Raises:
        ValueError: it is not two finite numbers within :data:`PLAUSIBLE_SPACING_MM`; the message
            guesses the unit that was meant.

    Example:
        >>> check_spacing((0.15, 0.15))
        (0.15, 0.15)
    """
    pair = tuple(float(value) for value in spacing_xy_mm)
    if len(pair) != 2 or not all(math.isfinite(value) and value > 0 for value in pair):
        raise ValueError(f'spacing_xy_mm must be two positive numbers of mm, not {spacing_xy_mm!r}')
    problem = spacing_problem(pair)
    if problem:
        raise ValueError(f'spacing_xy_mm must be in mm: {pair[0]:g} x {pair[1]:g} {problem}')
    return pair[0], pair[1]


def check_magnification(magnification: float) -> float:
    """Return a caller's magnification as a float.

    Raises:
        ValueError: it is not within :data:`_PLAUSIBLE_MAGNIFICATION`.
    """
    value = float(magnification)
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f'magnification must be a positive number, not {magnification!r}')
    problem = magnification_problem(value)
    if problem:
        raise ValueError(f'magnification must be size at the detector over size at the bone: '
                         f'{value:g} {problem}')  # fmt: skip
    return value


def read_number(text: str) -> float:
    """Read a number that somebody typed; for ``type=`` of an option.

    Raises:
        ValueError: it is none; a comma in the place of the point is named.
    """
    try:
        return float(text)
    except ValueError:
        advice = comma_advice(text) or ' is no number'
        raise ValueError(f'{text!r}{advice}') from None


def given_spacing(
    spacing_xy_mm: tuple[float, float] | None, magnification: float | None, nothing: str
) -> Spacing:
    """Return what the caller says, for files that say nothing, and why they do."""
    factor, source = _given_magnification(magnification) or (1.0, 'unknown')
    if spacing_xy_mm is None:
        return Spacing(None, 'none', nothing, factor, source)
    pair = check_spacing(spacing_xy_mm)
    return Spacing(pair, 'caller', spacing_question(pair), factor, source)


def read_spacing(
    dataset: Dataset,
    spacing_xy_mm: tuple[float, float] | None = None,
    magnification: float | None = None,
) -> Spacing:
    r"""Find the pixel spacing of a DICOM header and the plane at which it holds.

    PixelSpacing comes first, then ImagerPixelSpacing, then NominalScannedPixelSpacing. DICOM
    stores (row, column) = (y, x) distances; here they become (x, y). PixelSpacing holds at the
    patient when PixelSpacingCalibrationType says GEOMETRY or FIDUCIAL, or when it is smaller than
    ImagerPixelSpacing by a factor that can be a magnification (PS3.3, 10.7.1.3). Values that are
    not positive, lie outside ``PLAUSIBLE_SPACING_MM`` or are the dummy 1\1 count as missing. Slices
    (CT, MR and the like) have their spacing at the patient: no distances of tubes magnify them.

    Args:
        dataset: the header.
        spacing_xy_mm: the caller's spacing at the detector; it wins over the file's.
        magnification: the caller's magnification; it wins over the file's, and then the spacing
            at the detector is preferred, since one at the patient needs no magnification.
    """
    factor = _given_magnification(magnification)
    if spacing_xy_mm is not None:
        pair = check_spacing(spacing_xy_mm)
        factor = factor or _file_magnification(dataset)
        return Spacing(pair, 'caller', spacing_question(pair), *factor)
    spacing = _file_spacing(dataset, prefer_detector=factor is not None)
    if factor is None:
        return spacing
    problem = spacing.problem
    if 'calibrated at the patient' in spacing.source:
        note = 'the spacing holds at the patient, and the given magnification divides it again'
        problem = _join(problem, note)
    return replace(
        spacing, problem=problem, magnification=factor[0], magnification_source=factor[1]
    )


def _file_spacing(dataset: Dataset, prefer_detector: bool) -> Spacing:
    """Choose between the header's spacings."""
    imager, imager_problem = _pair(dataset, 'ImagerPixelSpacing')
    pixel, pixel_problem = _pair(dataset, 'PixelSpacing', confirmed_by=imager)
    problem = _join(pixel_problem, imager_problem)
    detector = _file_magnification(dataset)
    if pixel and imager:
        return _reconcile(dataset, pixel, imager, problem, prefer_detector)
    if pixel:
        kind = _calibration(dataset)
        if kind:
            return _at_patient(pixel, kind, problem)
        return Spacing(pixel, 'PixelSpacing', problem, *detector)
    if imager:
        return Spacing(imager, 'ImagerPixelSpacing', problem, *detector)
    nominal, nominal_problem = _pair(dataset, 'NominalScannedPixelSpacing')
    problem = _join(problem, nominal_problem)
    if nominal:
        return Spacing(nominal, 'NominalScannedPixelSpacing', problem, *detector)
    return Spacing(None, 'none', problem or 'the file has no pixel spacing', *detector)


def _reconcile(
    dataset: Dataset,
    pixel: tuple[float, float],
    imager: tuple[float, float],
    problem: str | None,
    prefer_detector: bool,
) -> Spacing:
    """Decide at which plane PixelSpacing holds, given ImagerPixelSpacing."""
    ratio_x, ratio_y = imager[0] / pixel[0], imager[1] / pixel[1]
    ratio = math.sqrt(ratio_x * ratio_y)
    detector = _file_magnification(dataset)
    kind = _calibration(dataset)
    if abs(ratio_x - 1) <= _SAME and abs(ratio_y - 1) <= _SAME:
        if kind and detector[0] <= 1 + _SAME:
            return _at_patient(pixel, kind, problem)
        if kind:
            text = f'PixelSpacing claims {kind} calibration but equals ImagerPixelSpacing'
            problem = _join(problem, f'{text}; it is taken to hold at the detector')
        return Spacing(pixel, 'PixelSpacing', problem, *detector)
    low, high = _PLAUSIBLE_MAGNIFICATION
    if not low < ratio <= high or abs(ratio_x / ratio_y - 1) > _SAME:
        text = (
            f'PixelSpacing {_words(pixel)} and ImagerPixelSpacing {_words(imager)} mm (x, y) '
            'contradict each other'
        )
        return Spacing(None, 'none', _join(problem, text), *detector)
    if prefer_detector:
        return Spacing(imager, 'ImagerPixelSpacing', problem, *detector)
    if detector[1] != 'unknown' and abs(ratio / detector[0] - 1) > _CONFLICT:
        text = f'the spacings imply magnification {ratio:.3f}, {detector[1]} {detector[0]:.3f}'
        problem = _join(problem, text)
    return _at_patient(pixel, kind or 'it is smaller than ImagerPixelSpacing', problem)


def _at_patient(pixel: tuple[float, float], why: str, problem: str | None) -> Spacing:
    source = f'PixelSpacing, calibrated at the patient ({why})'
    return Spacing(pixel, source, problem, 1.0, 'PixelSpacing holds at the patient')


def _calibration(dataset: Dataset) -> str | None:
    kind = code(dataset, 'PixelSpacingCalibrationType')
    return kind if kind in ('GEOMETRY', 'FIDUCIAL') else None


def _given_magnification(magnification: float | None) -> tuple[float, str] | None:
    return None if magnification is None else (check_magnification(magnification), 'caller')


def _file_magnification(dataset: Dataset) -> tuple[float, str]:
    """Return detector over patient, and where it comes from; (1.0, 'unknown') when not known."""
    if _is_slice(dataset):
        return 1.0, 'a slice has its spacing at the patient'
    low, high = _PLAUSIBLE_MAGNIFICATION
    estimated = number(dataset, 'EstimatedRadiographicMagnificationFactor')
    if estimated is not None and low <= estimated <= high:
        return estimated, 'EstimatedRadiographicMagnificationFactor'
    detector = number(dataset, 'DistanceSourceToDetector')
    patient = number(dataset, 'DistanceSourceToPatient')
    if detector and patient and patient > 0 and low <= detector / patient <= high:
        return detector / patient, 'DistanceSourceToDetector / DistanceSourceToPatient'
    return 1.0, 'unknown'


def _is_slice(dataset: Dataset) -> bool:
    """Tell a slice or a volume (CT, MR and the like) from a projection."""
    if code(dataset, 'Modality') in _SLICES or has(dataset, 'ImageOrientationPatient'):
        return True
    name = sop_class_name(dataset) or ''
    return any(kind in name for kind in _SLICE_CLASSES)


def _pair(
    dataset: Dataset, keyword: str, confirmed_by: tuple[float, float] | None = None
) -> tuple[tuple[float, float] | None, str | None]:
    """Return a spacing in (x, y) order, or None with the reason in words if it is unusable."""
    if is_unreadable(dataset, keyword):
        text = number_text(dataset, keyword)
        return None, f'{named(keyword)} holds {text}{comma_advice(text)}'
    lengths = numbers(dataset, keyword)
    if not lengths:
        return None, None
    text = '\\'.join(f'{value:g}' for value in lengths)
    if len(lengths) != 2:
        return None, f'{keyword} {text} is not two numbers'
    pair = (lengths[1], lengths[0])
    problem = spacing_problem(pair)
    if problem:
        return None, f'{keyword} {text} {problem}'
    if keyword != 'ImagerPixelSpacing' and pair == (1.0, 1.0) and confirmed_by != pair:
        return None, f'{keyword} 1\\1 is a dummy value'
    question = spacing_question(pair)
    return pair, None if question is None else f'{keyword} {text}: {question}'


def _words(pair: tuple[float, float]) -> str:
    return f'({pair[0]:g}, {pair[1]:g})'


def _join(first: str | None, second: str | None) -> str | None:
    return '; '.join(text for text in (first, second) if text) or None
