"""Fit a calibration to images whose landmarks are known, and apply it to others."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import chi2, norm

from unsct_mmpose.anatomy import HIP, LandmarkSet, RelationSet
from unsct_mmpose.functional.agreement import nearest_turn
from unsct_mmpose.functional.clinical import (
    IS_ANGLE,
    Slopes,
    measure_many,
    output_columns,
    slopes_many,
)
from unsct_mmpose.functional.error_structure import (
    class_residuals,
    direction_shapes,
    error_correlation,
    error_products,
    peak_power,
    peak_variances,
    whitened,
)
from unsct_mmpose.functional.geometry import symmetric_root
from unsct_mmpose.functional.hierarchical import (
    MANY_PATIENTS,
    by_patient,
    holm_significant,
    left_out_offsets,
    new_patient_most,
    new_patient_radius,
    systematic_offset,
)
from unsct_mmpose.functional.presence import squared_mahalanobis

from .assessment import (
    Assessment,
    applicable,
    assess,
    image_agreement,
    median_peak,
    weigh_relations,
)
from .calibration import (
    Calibration,
    SystematicOffset,
    conformal_risk_threshold,
    equal_cost_threshold,
    grouped_scales,
    recall_threshold,
    youden_threshold,
)
from .deciders import DECIDERS, Decider, DecisionOptions
from .evidence import Evidence
from .fusion import DEFAULT_FEATURES, DEFAULT_PENALTY, Fusion, fit_fusion, take_evidence
from .fusion_choice import choose_field_penalty
from .regions import calibrated_covariances

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_LEAST_CORRELATED = 6
"""Patients below which landmarks are taken to err independently: fewer promise a correlation that
the next one does not keep."""

FOLLOWED = ('peak', 'direction', 'correlation', 'offset')
"""What can be followed: how high a landmark's peak is, the direction of its errors, how landmarks
err together, and what all patients have in common."""

_CORRELATION_DIGITS = 4
_LEAST_NOISE = 1e-6


@dataclass(frozen=True)
class EvidenceTable:
    """What a model's maps said about N annotated images.

    Attributes:
        evidence: of the N images, cells, on the CPU.
        points_px: ``(N, K, 2)`` predicted landmarks, pixels of the image file.
        covariances_px: ``(N, K, 2, 2)`` moments of the heatmaps, not scaled, image pixels squared.
        true_px: ``(N, K, 2)`` true landmarks; meaningless where not present.
        present: ``(N, K)`` bool.
        labelled: ``(N, K)`` bool; the others count nowhere.
        spacing_xy_mm: ``(N, 2)`` at the detector.
        magnification: ``(N,)``.
        patients: ``(N,)`` str, pseudonyms.
        subsets: ``(N,)`` str, structured or unstructured.
        files: ``(N,)`` str, names of the image files.
        landmarks: which K.
    """

    evidence: Evidence
    points_px: Floats
    covariances_px: Floats
    true_px: Floats
    present: Bools
    labelled: Bools
    spacing_xy_mm: Floats
    magnification: Floats
    patients: NDArray[np.str_]
    subsets: NDArray[np.str_]
    files: NDArray[np.str_]
    landmarks: LandmarkSet = HIP

    def __len__(self) -> int:
        return len(self.points_px)

    @property
    def peaks(self) -> Floats:
        """``(N, K)`` heights of the chosen peaks."""
        return self.evidence.peak.numpy().astype(float)

    def take(self, rows: NDArray[Any]) -> EvidenceTable:
        """Return the images that an index array or a mask names."""
        columns = {name: getattr(self, name)[rows] for name in COLUMNS}
        return replace(self, evidence=take_evidence(self.evidence, rows), **columns)


COLUMNS = tuple(
    column.name for column in fields(EvidenceTable) if column.name not in ('evidence', 'landmarks')
)
"""The arrays of a table, a row for each image."""


def disjoint_parts(
    table: EvidenceTable, base: EvidenceTable
) -> Iterator[tuple[EvidenceTable, EvidenceTable]]:
    """Split a table to judge and a base to calibrate on so that nobody is judged by one's own.

    Yields:
        Images to calibrate on and images to judge: whole tables where they share no patient, else
        for each patient the images of all others in ``base`` and the patient's own in ``table``.
    """
    if not set(table.patients.tolist()) & set(base.patients.tolist()):
        yield base, table
        return
    for patient in sorted(set(table.patients.tolist())):
        yield base.take(base.patients != patient), table.take(table.patients == patient)


@dataclass(frozen=True)
class FitOptions:
    """What a calibration is asked for.

    Attributes:
        decision: entropy, aggregation and weights that the thresholds of ``paf`` are for.
        rule: which threshold decides by default.
        recall: share of present landmarks that the rule ``recall`` reports.
        alpha: expected share of rejected present landmarks that ``conformal`` allows.
        level: nominal coverage of regions and intervals.
        features: what fusion may use.
        penalty: ridge penalty of the fusion, of its fields at least.
        unit: ``'patient'``: what is promised is for an image of a new patient; ``'image'``: images
            count as if they were independent, for comparison; it follows nothing.
        follow: what regions and intervals follow beside their size, some of :data:`FOLLOWED`.
        field_penalty: that of its fields; None chooses by the number of patients, see
            :func:`unsct_mmpose.maps.fusion_choice.choose_field_penalty`.
    """

    decision: DecisionOptions = field(default_factory=DecisionOptions)
    rule: str = 'equal_cost'
    recall: float = 0.99
    alpha: float = 0.05
    level: float = 0.95
    features: Sequence[str] = DEFAULT_FEATURES
    penalty: float = DEFAULT_PENALTY
    field_penalty: float | None = None
    unit: str = 'patient'
    follow: Sequence[str] = FOLLOWED

    def __post_init__(self) -> None:
        if self.unit not in ('patient', 'image'):
            raise ValueError(f"unit must be 'patient' or 'image', not {self.unit!r}")
        if unknown := set(self.follow) - set(FOLLOWED):
            raise ValueError(f'follow knows {FOLLOWED}, not {sorted(unknown)}')


def fit_calibration(
    table: EvidenceTable,
    relations: RelationSet,
    options: FitOptions,
    provenance: Mapping[str, Any] | None = None,
) -> Calibration:
    """Fit everything that a calibration holds.

    Args:
        table: images that the model was not trained on.
        relations: the model's relations.
        options: what is asked for.
        provenance: what to write down about model and data; the numbers of images, patients and
            landmarks are added.

    Raises:
        ValueError: no landmark is absent, or none is present: presence cannot be learnt from it.
    """
    pairs = relations.pairs
    fusion, field_penalty = _fusion(table, pairs, options)
    presence = torch.sigmoid(fusion.log_odds(table.evidence, pairs))
    weighed = weigh_relations(table.evidence, pairs, options.decision)
    uncertainties = {
        name: decider.uncertainty(weighed, presence, options.decision).numpy()
        for name, decider in DECIDERS.items()
    }
    thresholds = {
        name: _thresholds(DECIDERS[name], values, table, options)
        for name, values in uncertainties.items()
    }
    mean, quarter = image_agreement(table.evidence, fusion.reference)
    bare = Calibration(
        rule=options.rule,
        entropy=options.decision.entropy,
        aggregation=options.decision.aggregation,
        relations=relations.name,
        thresholds=thresholds,
        fusion=fusion,
        region_level=options.level,
        region_scales=dict.fromkeys(table.landmarks.class_names, 1.0),
        interval_level=options.level,
        interval_scales={},
        typical_agreement=float(mean.min()),
        typical_quorum=float(quarter.min()),
        typical_peak=float(median_peak(table.evidence).min()),
        typical_noise=_typical_noise(table),
        settings=dict(
            recall=options.recall,
            alpha=options.alpha,
            penalty=options.penalty,
            field_penalty=field_penalty,
        ),
        provenance=dict(
            provenance or {},
            images=len(table),
            patients=len(set(table.patients.tolist())),
            unstructured_images=int((table.subsets == 'unstructured').sum()),
            present_landmarks=int((table.present & table.labelled).sum()),
            absent_landmarks=int((~table.present & table.labelled).sum()),
        ),
        weights=options.decision.weights,
        landmarks=table.landmarks,
    )
    return refit_claims(bare, table, relations, options)


@dataclass(frozen=True, eq=False)
class MeasuredTable:
    """What a calibration's decisions leave of the images of a table, measured.

    Attributes:
        reported: ``(N, K)`` bool.
        slopes: of the measurements of the reported landmarks.
        truth: ``(N, M)`` measurements of the true landmarks, NaN where there are none.
        errors: ``(N, M)`` measured minus true.
    """

    reported: Bools
    slopes: Slopes
    truth: Floats
    errors: Floats


def measured_table(
    table: EvidenceTable, relations: RelationSet, calibration: Calibration
) -> MeasuredTable:
    """Decide by a calibration and measure what is reported."""
    decided = assess(table.evidence, relations.pairs, DecisionOptions(), calibration)
    return _measured(table, decided.reported.numpy())


def refit_claims(
    calibration: Calibration,
    table: EvidenceTable,
    relations: RelationSet,
    options: FitOptions,
    measured: MeasuredTable | None = None,
) -> Calibration:
    """Fit regions and intervals anew, at the options' level and unit; decisions stay.

    ``measured`` is that of :func:`measured_table`, where it is known already.
    """
    if measured is None:
        decision = replace(
            options.decision, evidence='fused', rule=None, threshold=None, weights=None
        )
        decided = assess(table.evidence, relations.pairs, decision, calibration)
        measured = _measured(table, decided.reported.numpy())
    bare = replace(
        calibration,
        region_level=options.level,
        region_scales=dict.fromkeys(table.landmarks.class_names, 1.0),
        region_shapes={},
        peak_power=0.0,
        interval_level=options.level,
        interval_scales={},
        patients=None,
        offsets={},
        correlation=None,
    )
    fit = _fit_to_patients if options.unit == 'patient' else _fit_to_images
    return fit(table, measured, bare, options)


def apply_calibration(
    table: EvidenceTable,
    relations: RelationSet,
    calibration: Calibration | None,
    decision: DecisionOptions,
) -> tuple[Assessment, Floats]:
    """Decide about the images of a table.

    Returns:
        The assessment, and ``(N, K, 2, 2)`` calibrated covariances, image pixels squared; those
        of the maps as they are where the calibration does not apply.
    """
    calibration = applicable(calibration, decision, len(relations))
    assessment = assess(table.evidence, relations.pairs, decision, calibration)
    return assessment, calibrated_covariances(table.covariances_px, calibration, table.peaks)


def _typical_noise(table: EvidenceTable) -> float:
    """Return the most noise that images of a new patient have; infinity where it is unknown."""
    noise = table.evidence.noise.numpy().astype(float)
    if np.isnan(noise).any():
        return math.inf
    return math.exp(new_patient_most(np.log(np.maximum(noise, _LEAST_NOISE)), table.patients))


def _fusion(
    table: EvidenceTable, pairs: Sequence[tuple[int, int]], options: FitOptions
) -> tuple[Fusion, float]:
    """Return the fusion and the penalty of its fields' weights."""
    columns = (table.evidence, table.present, table.labelled)
    chosen = (options.features, options.penalty)
    strength = options.field_penalty
    if strength is None:
        strength = choose_field_penalty(*columns, table.patients, pairs, *chosen)
    return fit_fusion(*columns, pairs, *chosen, strength), strength


def _thresholds(
    decider: Decider, uncertainty: Floats, table: EvidenceTable, options: FitOptions
) -> dict[str, float]:
    args = (uncertainty, table.present, table.labelled)
    people = table.patients if options.unit == 'patient' else None
    even = decider.equal_cost
    if even is None:
        even = equal_cost_threshold(*args, penalty=options.penalty)
    return dict(
        equal_cost=even,
        recall=recall_threshold(*args, recall=options.recall, patients=people),
        youden=youden_threshold(*args),
        conformal=conformal_risk_threshold(*args, alpha=options.alpha, patients=people),
    )


def _fit_to_patients(
    table: EvidenceTable, measured: MeasuredTable, bare: Calibration, options: FitOptions
) -> Calibration:
    """Add regions and intervals that hold for an image of a new patient."""
    with_regions, seen_by = _add_regions(table, measured.reported, bare, options)
    whole, also_by = _add_intervals(table, measured, with_regions, options)
    patients = np.concatenate([seen_by, also_by])
    return replace(
        whole, patients=int(patients[patients > 0].min(initial=len(set(table.patients))))
    )


def _add_regions(
    table: EvidenceTable, reported: Bools, calibration: Calibration, options: FitOptions
) -> tuple[Calibration, NDArray[np.int64]]:
    """Fit the shapes and sizes of the reported landmarks' regions."""
    level, shapes, power = options.level, {}, 0.0
    errors = _whitened(table, reported, table.covariances_px)
    if 'peak' in options.follow:
        peaks = table.peaks
        power = peak_power(errors, peaks, table.patients, table.landmarks)
        errors = errors / peak_variances(peaks)[..., None] ** (power / 2)
    residuals = class_residuals(errors, table.patients, table.landmarks)
    if 'direction' in options.follow:
        whole, by_others = direction_shapes(residuals)
        # a patient's errors are judged by the shape of the others'
        turn = symmetric_root(by_others)[:, :, None]
        residuals = np.asarray(np.linalg.solve(turn, residuals[..., None])[..., 0], float)
        for name, shape in zip(table.landmarks.class_names, whole, strict=True):
            shapes[name] = (float(shape[0, 0]), float(shape[0, 1]), float(shape[1, 1]))
    radius = new_patient_radius(residuals, level)
    factors = _filled(radius.value**2 / chi2.ppf(level, 2), 1.0)
    fitted = replace(
        calibration,
        region_scales=dict(zip(table.landmarks.class_names, factors.tolist(), strict=True)),
        region_shapes=shapes,
        peak_power=power,
    )
    return fitted, radius.patients


def _add_intervals(
    table: EvidenceTable, measured: MeasuredTable, calibration: Calibration, options: FitOptions
) -> tuple[Calibration, NDArray[np.int64]]:
    """Fit how landmarks err together, what is systematic, and how wide intervals must be."""
    reported = measured.reported
    covariances = calibrated_covariances(table.covariances_px, calibration, table.peaks)
    level, correlation, by_others = options.level, None, None
    if 'correlation' in options.follow and len(set(table.patients)) >= _LEAST_CORRELATED:
        products = error_products(
            _whitened(table, reported, covariances), table.patients, table.landmarks
        )
        whole = error_correlation(products, table.landmarks).round(_CORRELATION_DIGITS)
        by_others = _by_others(products, table, whole)
        correlation = tuple(whole[np.triu_indices(len(whole), 1)].tolist())
    outputs = output_columns(table.landmarks)
    if not outputs:
        return replace(calibration, correlation=correlation), np.array([], int)
    errors, spread = measured.errors, measured.slopes.standard_errors(covariances, by_others)
    gathered = _by_output(errors, table), _by_output(spread, table)
    error = np.where(gathered[1] > 0, gathered[0], np.nan)
    offset = systematic_offset(error)
    corrected = holm_significant(offset.p) & ('offset' in options.follow)
    centre = np.where(corrected[:, None], left_out_offsets(error), 0.0)
    with np.errstate(divide='ignore', invalid='ignore'):
        residuals = (error - centre[..., None]) / gathered[1]
    radius = new_patient_radius(residuals[..., None], level)
    scales = _filled(radius.value, float(norm.ppf(0.5 + level / 2)))
    names = list(outputs)
    fitted = replace(
        calibration,
        interval_scales=dict(zip(names, scales.tolist(), strict=True)),
        offsets={
            name: SystematicOffset(
                float(offset.value[index]),
                _number(offset.low[index]),
                _number(offset.high[index]),
                int(offset.patients[index]),
                bool(corrected[index]),
            )
            for index, name in enumerate(names)
            if offset.patients[index]
        },
        correlation=correlation,
    )
    return fitted, radius.patients


def _whitened(table: EvidenceTable, reported: Bools, covariances: Floats) -> Floats:
    """Return ``(N, K, 2)`` errors of the reported landmarks in units of covariances."""
    counted = table.present & table.labelled & reported
    return whitened(
        np.where(counted[..., None], table.points_px - table.true_px, np.nan), covariances
    )


def _by_others(products: Floats, table: EvidenceTable, correlation: Floats) -> Floats:
    """Return ``(N, 2 K, 2 K)`` correlations that no image's own patient has a part in."""
    if len(products) >= MANY_PATIENTS:  # one of many hardly matters
        return correlation
    rests = (np.delete(products, index, axis=0) for index in range(len(products)))
    each = np.stack([error_correlation(rest, table.landmarks) for rest in rests])
    return each[np.unique(table.patients, return_inverse=True)[1]]


def _measured(table: EvidenceTable, reported: Bools) -> MeasuredTable:
    if not table.landmarks.clinical:
        nothing = np.zeros((len(table), 0))
        jacobian = np.zeros((len(table), 0, len(table.landmarks), 2))
        slopes = Slopes(nothing, reported, jacobian, np.ones((len(table), 1, 2)))
        return MeasuredTable(reported, slopes, nothing, nothing)
    slopes = slopes_many(table.points_px, reported, table.spacing_xy_mm, table.magnification)
    truth, _ = measure_many(
        table.true_px, table.present & table.labelled, table.spacing_xy_mm, None,
        table.magnification,
    )  # fmt: skip
    values = np.where(IS_ANGLE, nearest_turn(slopes.values, truth), slopes.values)
    return MeasuredTable(reported, slopes, truth, values - truth)


def _by_output(values: Floats, table: EvidenceTable) -> Floats:
    """Return ``(outputs, P, n)`` of ``(N, M)``, both sides of an output together."""
    rows, outputs = by_patient(values, table.patients), output_columns(table.landmarks)
    people, images = rows.shape[:2]
    widest = max(len(columns) for columns in outputs.values())
    result = np.full((len(outputs), people, images, widest), np.nan)
    for index, columns in enumerate(outputs.values()):
        result[index, :, :, : len(columns)] = rows[:, :, columns]
    return result.reshape(len(outputs), people, -1)


def _number(value: np.floating[Any]) -> float:
    """Return a float; the one NaN of the standard library, so that records compare as equal."""
    return math.nan if np.isnan(value) else float(value)


def _filled(values: Floats, otherwise: float) -> Floats:
    """Give what was not fitted the largest value of what was."""
    fitted = values[~np.isnan(values)]
    return np.where(np.isnan(values), fitted.max() if fitted.size else otherwise, values)


def _fit_to_images(
    table: EvidenceTable, measured: MeasuredTable, bare: Calibration, options: FitOptions
) -> Calibration:
    """Add regions and intervals as if images were independent."""
    level = options.level
    counted = table.present & table.labelled
    distance = squared_mahalanobis(table.points_px, table.true_px, table.covariances_px)
    distance = np.where(counted, distance, np.nan)
    classes = zip(table.landmarks.class_names, table.landmarks.classes, strict=True)
    by_class = {name: distance[:, list(members)] for name, members in classes}
    regions = replace(
        bare, region_scales=grouped_scales(by_class, level, float(chi2.ppf(level, 2)))[0]
    )
    if not table.landmarks.clinical:
        return regions
    covariances = calibrated_covariances(table.covariances_px, regions, table.peaks)
    errors, spread = measured.errors, measured.slopes.standard_errors(covariances)
    usable = np.isfinite(errors) & (spread > 0)
    ratio = np.full(errors.shape, np.nan)
    ratio[usable] = np.abs(errors)[usable] / spread[usable]
    groups = {
        output: ratio[:, columns] for output, columns in output_columns(table.landmarks).items()
    }
    scales, _ = grouped_scales(groups, level, 1.0, least=math.ceil(2 / (1 - level) - 1e-9))
    usual = float(norm.ppf(0.5 + level / 2))
    return replace(
        regions, interval_scales=scales if usable.any() else dict.fromkeys(groups, usual)
    )
