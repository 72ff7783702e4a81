"""Thresholds, conformal quantiles and the record of a calibration.

N images, K landmarks. A landmark is reported when its uncertainty is at most a threshold.
Thresholds are fitted on images that the model was not trained on, and never on those it is judged
on: from ``(N, K)`` uncertainties and the boolean masks of the landmarks that are present and of
those that somebody looked for, ``labelled``; the others count nowhere. ``patients`` is ``(N,)``,
whose image each row is.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from unsct_mmpose.anatomy import HIP, LandmarkSet, landmark_set
from unsct_mmpose.anatomy.records import check_fields
from unsct_mmpose.files import jsonable
from unsct_mmpose.functional.hierarchical import allowed_level, by_patient, hierarchical_quantile

from .fusion import DEFAULT_PENALTY, Fusion, fit_logistic

RULES = ('equal_cost', 'recall', 'youden', 'conformal')
"""How a threshold is chosen: a miss and a false positive cost the same; a share of the
present landmarks is reported; Youden's J; conformal risk control."""

FORMAT = 3

_READABLE = (1, 2, FORMAT)
# of format 1, quantiles are over images: it says nothing of patients; format 2 knows no peaks, but
# a factor of images of which landmarks are rejected

CALIBRATION_KEY = 'calibration'
"""Name, below the head's own, of the packed calibration in a checkpoint's ``state_dict``."""


def recall_threshold(
    uncertainty: ArrayLike,
    present: ArrayLike,
    labelled: ArrayLike,
    recall: float = 0.99,
    patients: ArrayLike | None = None,
) -> float:
    """Return the smallest threshold that reports at least a share of the present landmarks.

    With patients, each counts once, and the share holds for the next one where they allow it
    (:func:`unsct_mmpose.functional.hierarchical.allowed_level`); else it is these patients' own.

    Args:
        uncertainty: ``(N, K)``.
        present: ``(N, K)`` bool.
        labelled: ``(N, K)`` bool.
        recall: share, above 0 and at most 1.
        patients: ``(N,)`` whose image each row is; None counts landmarks alike.

    Raises:
        ValueError: nothing is present, or the share is out of range.

    Example:
        >>> recall_threshold([[0.1, 0.2, 0.3, 0.9]], [[True] * 4], [[True] * 4], 0.75)
        0.3
    """
    if not 0 < recall <= 1:
        raise ValueError(f'recall must lie in (0, 1], got {recall}')
    of_present, _ = _split(uncertainty, present, labelled)
    if not of_present.size:
        raise ValueError('no landmark is present: a recall cannot be asked for')
    if patients is None:
        rank = math.ceil(recall * of_present.size - 1e-9)
        return float(np.sort(of_present)[rank - 1])
    counted = np.asarray(present, bool) & np.asarray(labelled, bool)
    rows = by_patient(np.where(counted, np.asarray(uncertainty, float), np.nan), patients)
    scores = rows.reshape(len(rows), -1)
    people = int((~np.isnan(scores)).any(axis=1).sum())
    # without the share for the patient to come, the quantile is that of these patients
    level = recall if recall <= allowed_level(people) + 1e-9 else recall * allowed_level(people)
    return float(hierarchical_quantile(scores, level))


def youden_threshold(uncertainty: ArrayLike, present: ArrayLike, labelled: ArrayLike) -> float:
    """Return the threshold with the largest sensitivity + specificity - 1 (Youden 1950).

    Midway between the two uncertainties that it separates, so that it does not sit on a landmark.

    Args:
        uncertainty: ``(N, K)``.
        present: ``(N, K)`` bool.
        labelled: ``(N, K)`` bool.

    Raises:
        ValueError: no landmark is present, or none is absent.

    Example:
        >>> youden_threshold([[0.1, 0.2, 0.6]], [[True, True, False]], [[True] * 3])
        0.4
    """
    of_present, of_absent = _split(uncertainty, present, labelled)
    if not of_present.size or not of_absent.size:
        raise ValueError(
            f'{of_present.size} landmarks are present and {of_absent.size} absent: a threshold '
            'between them needs both'
        )
    levels = np.unique(np.concatenate([of_present, of_absent]))
    reported = np.searchsorted(np.sort(of_present), levels, side='right') / of_present.size
    false_positives = np.searchsorted(np.sort(of_absent), levels, side='right') / of_absent.size
    best = int(np.argmax(reported - false_positives))
    return float(levels[best : best + 2].mean())


def conformal_risk_threshold(
    uncertainty: ArrayLike,
    present: ArrayLike,
    labelled: ArrayLike,
    alpha: float = 0.05,
    patients: ArrayLike | None = None,
) -> float:
    """Return the threshold that conformal risk control allows.

    The loss of an image is the share of its present landmarks that are rejected; it falls as the
    threshold rises. The smallest threshold with ``n / (n + 1) mean loss + 1 / (n + 1) <= alpha``
    keeps the expected loss of a new, exchangeable image at alpha or below (Angelopoulos et al.,
    "Conformal risk control", ICLR 2024). With patients the loss is a patient's, the mean over its
    images, and n is their number: images of one patient are not exchangeable with others'.

    Args:
        uncertainty: ``(N, K)``.
        present: ``(N, K)`` bool.
        labelled: ``(N, K)`` bool.
        alpha: bound of the expected loss.
        patients: ``(N,)`` whose image each row is; None takes every image for a patient.

    Returns:
        The threshold; infinity (report everything) when n < 1 / alpha - 1, too few for any promise.

    Raises:
        ValueError: alpha does not lie in (0, 1).

    Example:
        >>> u, all_of_them = np.linspace(0, 1, 40).reshape(40, 1), np.ones((40, 1), bool)
        >>> round(conformal_risk_threshold(u, all_of_them, all_of_them, 0.1), 3)
        0.923
        >>> conformal_risk_threshold(u[:5], all_of_them[:5], all_of_them[:5], 0.1)
        inf
    """
    if not 0 < alpha < 1:
        raise ValueError(f'alpha must lie in (0, 1), got {alpha}')
    _split(uncertainty, present, labelled)  # refuses shapes that disagree, and NaN
    values = np.asarray(uncertainty, float)
    counted = np.asarray(present, bool) & np.asarray(labelled, bool)
    usable = counted.any(axis=1)
    values, counted = values[usable], counted[usable]
    people = np.arange(len(usable)) if patients is None else np.asarray(patients)
    _, whose, images = np.unique(people[usable], return_inverse=True, return_counts=True)
    number = len(images)
    if number == 0 or 1 / (number + 1) > alpha + 1e-12:
        return math.inf
    share = counted / counted.sum(axis=1, keepdims=True) / images[whose][:, None]
    order = np.argsort(values[counted], kind='stable')
    levels, weights = values[counted][order], share[counted][order]
    # loss at a threshold: what lies above it
    loss = 1 - np.cumsum(weights) / number
    last = np.r_[levels[1:] > levels[:-1], True]  # of equal uncertainties, the last one counts
    allowed = last & (number / (number + 1) * loss + 1 / (number + 1) <= alpha + 1e-12)
    return float(levels[np.argmax(allowed)]) if allowed.any() else math.inf


def equal_cost_threshold(
    uncertainty: ArrayLike,
    present: ArrayLike,
    labelled: ArrayLike,
    penalty: float = DEFAULT_PENALTY,
) -> float:
    """Return the uncertainty at which a landmark is as likely present as absent.

    A missed landmark and a false positive cost the same in the set error, so that this is the
    decision with the smallest expected cost. The probability is a logistic function of the
    uncertainty.

    Args:
        uncertainty: ``(N, K)``.
        present: ``(N, K)`` bool.
        labelled: ``(N, K)`` bool.
        penalty: see :func:`unsct_mmpose.maps.fusion.fit_logistic`.

    Returns:
        The threshold; infinity when the uncertainty does not fall with presence at all.

    Raises:
        ValueError: no landmark is present, or none is absent.
    """
    labelled = np.asarray(labelled, bool)
    values = np.asarray(uncertainty, float)[labelled]
    model = fit_logistic(values[:, None], np.asarray(present, bool)[labelled], [-1], penalty)
    weight, scale, centre = model.weights[0], model.scales[0], model.centres[0]
    return centre + model.intercept * scale / weight if weight > 0 else math.inf


def conformal_quantile(scores: ArrayLike, level: float) -> float:
    """Return the quantile below which a new, exchangeable score falls with at least a probability.

    The ``ceil((n + 1) level)``-th smallest of n scores (Vovk et al. 2005; Lei et al. 2018).

    Args:
        scores: any number of scores; NaN ones are left out.
        level: probability, in (0, 1).

    Returns:
        The quantile; infinity when there are too few scores for the level.

    Example:
        >>> conformal_quantile(range(1, 20), 0.95), conformal_quantile(range(1, 19), 0.95)
        (19.0, inf)
    """
    if not 0 < level < 1:
        raise ValueError(f'level must lie in (0, 1), got {level}')
    values = np.asarray(list(scores) if isinstance(scores, range) else scores, float).ravel()
    values = np.sort(values[~np.isnan(values)])
    rank = math.ceil((len(values) + 1) * level - 1e-9)
    return float(values[rank - 1]) if 1 <= rank <= len(values) else math.inf


def grouped_scales(
    scores: Mapping[str, ArrayLike], level: float, reference: float, least: int = 40
) -> tuple[dict[str, float], float]:
    """Return a conformal scale for each group, the pooled one where a group is small.

    Args:
        scores: for each group its scores, such as squared Mahalanobis distances of errors.
        level: nominal coverage.
        reference: quantile that well calibrated scores would have, such as that of chi squared.
        least: smallest group that gets its own scale.

    Returns:
        Scale of each group, and the pooled scale (1.0 when there are no scores at all).
    """
    clean = {name: np.asarray(values, float).ravel() for name, values in scores.items()}
    clean = {name: values[np.isfinite(values)] for name, values in clean.items()}
    everything = np.concatenate(list(clean.values())) if clean else np.empty(0)
    pooled = conformal_quantile(everything, level) / reference
    if not math.isfinite(pooled):
        pooled = float(everything.max() / reference) if everything.size else 1.0
    each = dict.fromkeys(clean, pooled)
    for name, values in clean.items():
        own = conformal_quantile(values, level) / reference
        if len(values) >= least and math.isfinite(own):
            each[name] = own
    return each, pooled


@dataclass(frozen=True)
class SystematicOffset:
    """What all patients' errors of a clinical output had in common.

    Attributes:
        value: mean error, measured minus true, a patient counting once; deg or mm at the bone.
        low: lower end of its 95 % interval over patients; NaN with fewer than two.
        high: upper end.
        patients: with errors.
        corrected: whether it is significant over patients, and intervals are centred without it.
    """

    value: float
    low: float
    high: float
    patients: int
    corrected: bool

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> SystematicOffset:
        """Read what :meth:`Calibration.to_dict` wrote."""
        low, high = (math.nan if content[end] is None else content[end] for end in ('low', 'high'))
        return cls(
            content['value'], low, high, int(content['patients']), bool(content['corrected'])
        )


@dataclass(frozen=True)
class Calibration:
    """Everything that turns raw evidence into decisions, probabilities and intervals.

    Attributes:
        rule: the rule whose threshold decides unless another one is asked for.
        entropy: entropy mode that the thresholds of ``paf`` belong to.
        aggregation: aggregation that they belong to.
        relations: name of the relation set.
        thresholds: for each evidence and rule the largest uncertainty that is reported.
        fusion: P(present) from all evidence.
        region_level: nominal coverage of the error ellipses.
        region_scales: for each landmark class the factor of its heatmap covariance.
        interval_level: nominal coverage of the parameters' intervals.
        interval_scales: for each clinical output the factor from standard error to half-width.
        typical_agreement: lowest mean normalised alignment of a calibration image.
        typical_quorum: lowest upper quartile of the normalised alignments of one.
        settings: recall, alpha and the like that the thresholds were asked for, and
            ``field_penalty``, of the fusion's weights of fields; infinity where heatmaps decide.
        provenance: what it was fitted on and for which weights, without identities.
        weights: of the relations in the sums of ``paf``; None: equal.
        patients: fewest patients that any region or interval was fitted to; None where they were
            fitted to images.
        region_shapes: for each landmark class (xx, xy, yy) of the shape that its heatmap
            covariance takes on the patient's left,
            :func:`unsct_mmpose.functional.error_structure.shaped`; a class that is not named
            keeps the heatmap's.
        peak_power: power of :func:`unsct_mmpose.functional.error_structure.peak_variances` by
            which heatmap covariances are multiplied; 0 follows no peaks.
        typical_peak: lowest median peak of a calibration image; 0 where it was not noted.
        typical_noise: most noise of a usual image; infinity where it was not noted.
        offsets: for each clinical output what all patients' errors had in common.
        correlation: of the landmarks' errors, the upper triangle of ``(2 K, 2 K)`` without its
            diagonal, row by row; None: independent.
        landmarks: which K; a record without them is of the hip's.
    """

    rule: str
    entropy: str
    aggregation: str
    relations: str
    thresholds: Mapping[str, Mapping[str, float]]
    fusion: Fusion
    region_level: float
    region_scales: Mapping[str, float]
    interval_level: float
    interval_scales: Mapping[str, float]
    typical_agreement: float
    typical_quorum: float
    settings: Mapping[str, float] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    weights: tuple[float, ...] | None = None
    patients: int | None = None
    region_shapes: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)
    peak_power: float = 0.0
    typical_peak: float = 0.0
    typical_noise: float = math.inf
    offsets: Mapping[str, SystematicOffset] = field(default_factory=dict)
    correlation: tuple[float, ...] | None = None
    landmarks: LandmarkSet = HIP

    @property
    def allowed_level(self) -> float | None:
        """Largest level that the patients allow without a model; None where it is unknown."""
        return None if self.patients is None else allowed_level(self.patients)

    def threshold(self, evidence: str, rule: str | None = None) -> float:
        """Return the threshold of an evidence; of the calibration's own rule by default.

        Raises:
            ValueError: the evidence or the rule is unknown.
        """
        wanted = rule or self.rule
        if evidence not in self.thresholds or wanted not in self.thresholds[evidence]:
            raise ValueError(
                f'no threshold for evidence {evidence!r} and rule {wanted!r}; there are '
                f'{sorted(self.thresholds)} with rules {list(RULES)}'
            )
        return self.thresholds[evidence][wanted]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for json; infinity becomes None."""
        content = jsonable(asdict(replace(self, landmarks=HIP)))
        content['landmarks'] = self.landmarks.to_dict()
        if self.landmarks == HIP:
            del content['landmarks']
        return {'format': FORMAT, **content, 'allowed_level': self.allowed_level}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], source: str = 'calibration') -> Calibration:
        """Read what :meth:`to_dict` wrote.

        Args:
            content: the values.
            source: where they are from, for messages.

        Raises:
            ValueError: a field is missing or of another format; the message names it.
        """
        version = content.get('format') if isinstance(content, Mapping) else None
        if version not in _READABLE:
            raise ValueError(
                f'{source}: format {version!r} is not one of {_READABLE}; make the calibration '
                'anew with unsct calibrate'
            )
        values = {k: v for k, v in content.items() if k not in ('format', 'allowed_level')}
        wider = max(values.pop('incomplete_factor', 1.0), 1.0)  # now for every image
        try:
            values['fusion'] = Fusion.from_dict(values['fusion'])
            values['landmarks'] = landmark_set(values.get('landmarks', HIP))
            values.setdefault('settings', {})
            values['typical_noise'] = _number(values.get('typical_noise'))
            for name in ('weights', 'correlation'):
                if values.get(name) is not None:
                    values[name] = tuple(map(float, values[name]))
            values['region_shapes'] = {
                name: (float(xx), float(xy), float(yy))
                for name, (xx, xy, yy) in values.get('region_shapes', {}).items()
            }
            values['offsets'] = {
                name: SystematicOffset.from_dict(offset)
                for name, offset in values.get('offsets', {}).items()
            }
            for name in ('region_scales', 'interval_scales', 'settings'):
                values[name] = {key: _number(value) for key, value in values[name].items()}
            values['region_scales'] = {
                key: wider * scale for key, scale in values['region_scales'].items()
            }
            values['thresholds'] = {
                kind: {rule: _number(value) for rule, value in rules.items()}
                for kind, rules in values['thresholds'].items()
            }
            calibration = cls(**values)
            check_fields(calibration)
            if calibration.patients is not None and calibration.patients < 1:
                raise ValueError(f'patients is {calibration.patients}')
            return calibration
        except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
            words = ascii(str(error))[1:-1]
            raise ValueError(
                f'{source}: field missing, unknown or malformed ({words}); make the calibration '
                'anew with unsct calibrate'
            ) from error


def pack_calibration(calibration: Calibration) -> Tensor:
    """Return a calibration as a uint8 tensor of its json, which every safe loader takes."""
    text = json.dumps(calibration.to_dict(), allow_nan=False).encode()
    return torch.frombuffer(bytearray(text), dtype=torch.uint8)


def unpack_calibration(packed: Tensor) -> Calibration:
    """Return what :func:`pack_calibration` packed.

    Raises:
        ValueError: it holds no calibration, or one of another format.
    """
    try:
        content = json.loads(bytes(packed.cpu().numpy().tobytes()))
    except ValueError as error:
        raise ValueError(f'the calibration in the checkpoint cannot be read: {error}') from error
    return Calibration.from_dict(content, "the checkpoint's calibration")


def _number(value: float | None) -> float:
    return math.inf if value is None else float(value)


def _split(
    uncertainty: ArrayLike, present: ArrayLike, labelled: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the uncertainties of the present and of the absent landmarks."""
    values = np.asarray(uncertainty, float)
    present, labelled = np.asarray(present, bool), np.asarray(labelled, bool)
    if values.shape != present.shape or values.shape != labelled.shape:
        raise ValueError(
            f'uncertainty {values.shape}, present {present.shape} and labelled {labelled.shape} '
            'disagree'
        )
    if np.isnan(values[labelled]).any():
        raise ValueError('an uncertainty is NaN: decode without a diverged network')
    return values[labelled & present], values[labelled & ~present]
