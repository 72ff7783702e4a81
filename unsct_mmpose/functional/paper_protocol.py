"""The paper's own protocol for absent landmarks; the one place where the sentinel (0, 0) lives.

The paper does not say how it scores a landmark that is absent or rejected. Its figures are
reproduced by one reading: absent ground truth and rejected predictions are written as the pixel
(0, 0) and scored like any other point. A false positive then costs its distance from the corner of
the image, a present landmark that is rejected likewise, and a correct rejection is a hit at
distance 0. Only for comparison with the paper's tables: everywhere else absence is a mask.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unsct_mmpose.anatomy import HIP, Estimate, LandmarkSet

from . import errors
from .agreement import icc_agreement, paired_t, pearson

Floats = NDArray[np.float64]

_SENTINEL_PX = (0.0, 0.0)
"""What the paper's protocol writes for a landmark that is not there."""


class PaperFigures(NamedTuple):
    """One row of the paper's Tables 3-5; NaN where nothing is labelled.

    Attributes:
        mre: mean radial error with the sentinel, mm (eq. 11).
        nme: normalised mean error with the sentinel (eq. 10).
        nme_dropped_images: images without a reference distance.
        sdr_landmarks: share of landmarks within each radius.
        sdr_images: share of images whose mean error is within each radius.
        pcc: Pearson's correlation of all coordinates, pixels, x and y alike.
        icc: ICC(A,1) of the same coordinates; the paper does not name its form.
        t_test_p: p of the paired t test of the same coordinates; > 0.05 is NOT agreement.
    """

    mre: float
    nme: float
    nme_dropped_images: int
    sdr_landmarks: tuple[float, ...]
    sdr_images: tuple[float, ...]
    pcc: Estimate
    icc: Estimate
    t_test_p: float


def with_sentinel(points: ArrayLike, shown: ArrayLike) -> Floats:
    """Return the points with (0, 0) for those that are not shown.

    Args:
        points: ``(N, K, 2)`` landmarks, pixels; those not shown are not read.
        shown: ``(N, K)`` bool.

    Example:
        >>> with_sentinel([[[3.0, 4.0], [5.0, 6.0]]], [[True, False]]).tolist()
        [[[3.0, 4.0], [0.0, 0.0]]]
    """
    points, shown = np.asarray(points, float), np.asarray(shown)
    if shown.dtype != np.bool_ or points.shape != (*shown.shape, 2):
        raise ValueError(f'points {points.shape} and mask {shown.dtype} {shown.shape} disagree')
    return np.where(shown[..., None], points, _SENTINEL_PX)


def paper_errors_mm(
    pred: ArrayLike,
    reported: ArrayLike,
    true: ArrayLike,
    present: ArrayLike,
    spacing_xy_mm: ArrayLike,
    magnification: ArrayLike = 1.0,
) -> Floats:
    """Return the distance of each prediction from the truth, either being (0, 0) if not shown.

    Args:
        pred: ``(N, K, 2)`` predicted landmarks, pixels.
        reported: ``(N, K)`` bool.
        true: ``(N, K, 2)`` true landmarks, pixels.
        present: ``(N, K)`` bool, in the ground truth.
        spacing_xy_mm: ``(N, 2)`` or ``(2,)`` size of a pixel along x and y.
        magnification: ``(N,)`` or one number.

    Returns:
        ``(N, K)`` distances, mm; 0 for a correct rejection.

    Raises:
        ValueError: shapes disagree, or a spacing or magnification is not positive.

    Example:
        >>> paper_errors_mm([[[30.0, 40.0]]], [[True]], [[[9.0, 9.0]]], [[False]], (0.5, 0.5))
        array([[25.]])
    """
    return errors.radial_errors_mm(
        with_sentinel(pred, reported), with_sentinel(true, present), spacing_xy_mm, magnification
    )


def paper_figures(
    pred: ArrayLike,
    reported: ArrayLike,
    true: ArrayLike,
    present: ArrayLike,
    labelled: ArrayLike,
    spacing_xy_mm: ArrayLike,
    magnification: ArrayLike = 1.0,
    radii_mm: Sequence[float] = (2.0,),
    norm_scale: float = 0.5,
    landmarks: LandmarkSet = HIP,
) -> PaperFigures:
    """Return the figures of the paper's tables, absent landmarks at (0, 0) and no mask.

    Args:
        pred: ``(N, K, 2)`` predicted landmarks, pixels.
        reported: ``(N, K)`` bool; all True is a model without the uncertainty module.
        true: ``(N, K, 2)`` true landmarks, pixels.
        present: ``(N, K)`` bool, in the ground truth.
        labelled: ``(N, K)`` bool; a landmark that nobody looked for has no truth, not even (0, 0).
        spacing_xy_mm: ``(N, 2)`` or ``(2,)`` size of a pixel along x and y.
        magnification: ``(N,)`` or one number; 1 for lengths on the detector, as in the paper.
        radii_mm: radii of the success detection rates.
        norm_scale: factor of :func:`errors.reference_distances_mm`; 0.5 fits the paper's figures.
        landmarks: the K landmarks.

    Raises:
        ValueError: shapes disagree, a mask is not boolean, or a point that counts is not finite.
    """
    distance = paper_errors_mm(pred, reported, true, present, spacing_xy_mm, magnification)
    counted = np.asarray(labelled)
    reference = errors.reference_distances_mm(
        true, present, spacing_xy_mm, magnification, landmarks
    )
    nme = errors.normalised_mean_error(distance, counted, reference, norm_scale)
    ours = with_sentinel(pred, reported)[counted].ravel()
    theirs = with_sentinel(true, present)[counted].ravel()
    return PaperFigures(
        mre=errors.mean_radial_error(distance, counted),
        nme=nme.value,
        nme_dropped_images=nme.dropped_images,
        sdr_landmarks=tuple(
            errors.success_detection_rate(distance, counted, radius) for radius in radii_mm
        ),
        sdr_images=tuple(
            errors.image_success_rate(distance, counted, radius) for radius in radii_mm
        ),
        pcc=pearson(ours, theirs),
        icc=icc_agreement(np.stack([ours, theirs], axis=1)),
        t_test_p=paired_t(ours, theirs).p,
    )
