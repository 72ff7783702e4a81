"""Promised against held: coverage of new patients by the number of those that calibrated."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from unsct_mmpose.anatomy import LANDMARK_CLASSES, NUM_CLASSES, RelationSet
from unsct_mmpose.anatomy.parameters import split_side
from unsct_mmpose.anatomy.records import TYPICAL
from unsct_mmpose.drawing.figures import figure_promise
from unsct_mmpose.drawing.picture_files import encode_picture
from unsct_mmpose.files import replace_file
from unsct_mmpose.functional.bootstrap import share_by_patient
from unsct_mmpose.functional.clinical import MEASUREMENT_NAMES
from unsct_mmpose.functional.error_structure import whitened
from unsct_mmpose.functional.hierarchical import allowed_level
from unsct_mmpose.functional.presence import region_radii, squared_mahalanobis
from unsct_mmpose.maps.assessment import image_state
from unsct_mmpose.maps.calibration import Calibration
from unsct_mmpose.maps.calibration_fit import (
    FOLLOWED,
    EvidenceTable,
    FitOptions,
    MeasuredTable,
    fit_calibration,
    measured_table,
    refit_claims,
)
from unsct_mmpose.maps.regions import (
    calibrated_covariances,
    covariances_to_px,
    error_correlations,
    interval_offsets,
    interval_scales,
)

from .markdown import format_number, read_notes, render_page, render_table
from .results import Result, read_folder, read_result
from .study import draw_patients

LEVELS = (0.5, 0.8, 0.9, 0.95)
UNITS = ('patient', 'image')
_VARIANTS: Mapping[str, tuple[str, ...]] = {
    'ellipse of the heatmap, nothing followed': (),
    'peak': ('peak',),
    'peak, direction': ('peak', 'direction'),
    'peak, direction, correlation': ('peak', 'direction', 'correlation'),
    'peak, direction, offset': ('peak', 'direction', 'offset'),
    'all (default)': FOLLOWED,
}
_DIRECTED = ('peak', 'peak, direction')
"""The variants whose ellipses are compared with the direction of the errors."""

SUBSETS = ('all', 'structured', 'unstructured')
_ROOM = dict(regions=0.03, parameters=0.03, worst=0.07)
"""How far coverage may be from the nominal level: regions, mean and worst parameter."""

_HARD = (1, 5, 7, 12)
_DIGITS = 4
_OUTPUTS: dict[str, list[int]] = {}
for _index, _name in enumerate(MEASUREMENT_NAMES):
    _OUTPUTS.setdefault(split_side(_name)[1], []).append(_index)

_Claims = dict[str, np.ndarray]
"""What became of the claims about each image: hits, counts and sizes of regions and intervals."""


def compare(
    pool: EvidenceTable,
    shifted: Mapping[str, EvidenceTable],
    relations: RelationSet,
    sizes: Sequence[int],
    *,
    draws: int,
    seed: int = 0,
    levels: Sequence[float] = LEVELS,
    judged_patients: int | None = None,
) -> dict[str, Any]:
    """Calibrate on drawn patients of a pool, again and again, and judge on the others.

    Sizes that would leave nobody are left out; where only one patient is left, every one is left
    out once. At most ``judged_patients`` of the others are judged on, drawn.

    Returns:
        ``sizes``: for each size, unit (``patient``, and ``image`` as before) and level what was
        held, by subset; ``variants``: the same for the largest size and level, by what is
        followed; ``shifted``: for the largest size; ``offsets``: found in the whole pool;
        ``aspect``: how errors lie to the ellipses' long axes.
    """
    rng = np.random.default_rng(seed)
    people = np.array(sorted(set(pool.patients.tolist())))
    usable = [size for size in sizes if size < len(people)]
    figures: dict[str, Any] = {'sizes': {}, 'variants': {}, 'shifted': {}, 'aspect': {}}
    for size in usable:
        last = size == max(usable)
        claims: dict[Any, list[_Claims]] = defaultdict(list)
        for base in _drawn(pool, people, size, draws, rng):
            others = np.setdiff1d(people, base.patients)
            if judged_patients is not None and len(others) > judged_patients:
                others = rng.choice(others, judged_patients, replace=False)
            rest = pool.take(np.isin(pool.patients, others))
            first = fit_calibration(base, relations, FitOptions())
            taught = measured_table(base, relations, first)
            tables = {'pool': rest, **(_without(shifted, base) if last else {})}
            judged = {
                name: (table, measured_table(table, relations, first), _usual(table, first))
                for name, table in tables.items()
            }
            for unit in UNITS:
                for level in levels:
                    options = FitOptions(unit=unit, level=level)
                    fitted = refit_claims(first, base, relations, options, taught)
                    for name, judgement in judged.items():
                        claims[unit, level, name].append(_judge(*judgement, fitted))
            if last:
                for name, follow in _VARIANTS.items():
                    options = FitOptions(level=max(levels), follow=follow)
                    fitted = refit_claims(first, base, relations, options, taught)
                    claims[name].append(_judge(*judged['pool'], fitted))
        figures['sizes'][str(size)] = {
            unit: {f'{level:g}': _held(claims[unit, level, 'pool']) for level in levels}
            for unit in UNITS
        }
        if last:
            figures['variants'] = {name: _held(claims[name]) for name in _VARIANTS}
            figures['aspect'] = {name: _aspect(claims[name]) for name in _DIRECTED}
            figures['shifted'] = {
                name: {
                    unit: {f'{level:g}': _held(claims[unit, level, name]) for level in levels}
                    for unit in UNITS
                }
                for name in shifted
            }
    whole = fit_calibration(pool, relations, FitOptions())
    figures['offsets'] = {name: vars(offset) for name, offset in whole.offsets.items()}
    return _rounded(figures)


def _rounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _rounded(item) for key, item in value.items()}
    return round(float(value), _DIGITS) if isinstance(value, float) else value


def first_images(table: EvidenceTable, count: int) -> EvidenceTable:
    """Return the first images of each patient, at most so many."""
    counts: dict[str, int] = {}
    rows = []
    for row, patient in enumerate(table.patients.tolist()):
        counts[patient] = counts.get(patient, 0) + 1
        if counts[patient] <= count:
            rows.append(row)
    return table.take(np.array(rows, int))


def _drawn(
    pool: EvidenceTable, people: np.ndarray, size: int, draws: int, rng: np.random.Generator
) -> Iterator[EvidenceTable]:
    if size < len(people) - 1:
        for _ in range(draws):
            yield draw_patients(pool, people, size, rng)
        return
    for patient in people:
        base = pool.take(pool.patients != patient)
        if (base.labelled & ~base.present).any():
            yield base


def _without(tables: Mapping[str, EvidenceTable], base: EvidenceTable) -> dict[str, EvidenceTable]:
    rest = {
        name: table.take(~np.isin(table.patients, base.patients)) for name, table in tables.items()
    }
    return {name: table for name, table in rest.items() if len(table)}


def _usual(table: EvidenceTable, calibration: Calibration) -> np.ndarray:
    return image_state(table.evidence, calibration).numpy() == TYPICAL


def _judge(
    table: EvidenceTable, measured: MeasuredTable, usual: np.ndarray, calibration: Calibration
) -> _Claims:
    """Return what became of a calibration's claims about the images of a table."""
    reported, level = measured.reported, calibration.region_level
    covariances = calibrated_covariances(table.covariances_px, calibration, table.peaks)
    counted = table.present & table.labelled & reported
    squared = squared_mahalanobis(table.points_px, table.true_px, covariances)
    scale = table.spacing_xy_mm / table.magnification[:, None]
    radius = region_radii(covariances_to_px(covariances, scale), level)
    together = None if calibration.correlation is None else error_correlations(calibration)
    spread = measured.slopes.standard_errors(covariances, together)
    error = np.abs(measured.errors - interval_offsets(calibration))
    half = interval_scales(calibration) * spread
    defined = np.isfinite(error) & np.isfinite(half)
    score = 2 * half + 2 / (1 - level) * np.maximum(error - half, 0)

    def by_output(values: np.ndarray) -> np.ndarray:
        clean = np.where(defined, values, 0.0)
        return np.stack([clean[:, columns].sum(axis=1) for columns in _OUTPUTS.values()], axis=1)

    residual = whitened(
        np.where(counted[..., None], table.points_px - table.true_px, np.nan), covariances
    )
    return dict(
        patients=table.patients,
        subsets=table.subsets,
        usual=usual,
        region_hits=(counted & (squared <= -2 * np.log1p(-level))).sum(axis=1),
        region_counts=counted.sum(axis=1),
        region_radius=np.where(counted, radius, 0.0).sum(axis=1),
        interval_hits=by_output(error <= half),
        interval_counts=by_output(np.ones_like(half)),
        interval_width=by_output(2 * half),
        interval_score=by_output(score),
        along=_along(residual, covariances),
    )


def _along(residual: np.ndarray, covariances: np.ndarray) -> np.ndarray:
    """Return ``(N, K)`` shares of an error, as ellipses see it, on the long axis: 1/2 if right."""
    clean = np.where(np.isfinite(covariances), covariances, 0.0)
    _, axes = np.linalg.eigh(clean)
    long = (residual * axes[..., 1]).sum(axis=-1) ** 2
    with np.errstate(invalid='ignore', divide='ignore'):
        return long / (residual**2).sum(axis=-1)


def _aspect(claims: Sequence[_Claims]) -> dict[str, float]:
    along = np.concatenate([claim['along'] for claim in claims])
    return {
        landmark.name: float(np.nanmean(along[:, [index, index + NUM_CLASSES]]))
        for index, landmark in enumerate(LANDMARK_CLASSES)
    }


def _held(claims: Sequence[_Claims]) -> dict[str, Any]:
    """Return coverage and size of all claims of several draws, by subset."""
    whole = {name: np.concatenate([claim[name] for claim in claims]) for name in claims[0]}
    held: dict[str, Any] = {'usual_images': float(whole['usual'].mean())}
    for subset in (*SUBSETS, 'usual'):
        chosen = (whole['subsets'] == subset) | (subset == 'all')
        rows = {
            name: values[whole['usual'] if subset == 'usual' else chosen]
            for name, values in whole.items()
        }
        held[subset] = _summary(rows, with_ends=subset == 'all')
    return held


def _summary(rows: _Claims, with_ends: bool) -> dict[str, Any]:
    region = share_by_patient(rows['region_hits'], rows['region_counts'], rows['patients'])
    counts = rows['interval_counts'].sum(axis=0)
    with np.errstate(invalid='ignore', divide='ignore'):
        coverage, width, score = (
            rows[f'interval_{name}'].sum(axis=0) / counts for name in ('hits', 'width', 'score')
        )
        radius = rows['region_radius'].sum() / rows['region_counts'].sum()
    parameters = {}
    for index, name in enumerate(_OUTPUTS):
        parameters[name] = dict(coverage=coverage[index], width=width[index], score=score[index])
        if with_ends:
            hits, counted = (rows[f'interval_{kind}'][:, index] for kind in ('hits', 'counts'))
            ends = share_by_patient(hits, counted, rows['patients'])
            parameters[name].update(low=ends.low, high=ends.high)
    return dict(
        regions=dict(coverage=region.value, low=region.low, high=region.high, radius=radius),
        parameters=parameters,
        mean_coverage=float(np.nanmean(coverage)) if counts.any() else np.nan,
    )


def write_promise_picture(folder: Path) -> None:
    """Write the figure of :func:`render_promise_page` beside the json files."""
    results = _results(folder)
    picture = figure_promise(
        {run.name: _curves(run) for run in results if len(run.figures['sizes']) > 1},
        source='simulated radiographs',
    )
    content = encode_picture(picture, '.png', (cv2.IMWRITE_PNG_COMPRESSION, 9))
    replace_file(folder / 'promise' / 'promise.png', content)


def render_promise_page(folder: Path) -> str:
    """Return the page of ``promise/*.json``."""
    parts = [
        'Made by `python tools/results.py page docs/results` from the json files in `promise/`, '
        'each written by `tools/study.py promise`, whose command stands in it. Patients are drawn '
        'to calibrate on, again and again; coverage is of all images of the others. Brackets are '
        '95 % intervals over patients. *Before*: quantiles over images as if they were '
        'independent. Radii and lengths in mm at the bone. **All images are simulated.**',
        '![Promised against held](promise/promise.png)',
    ]
    parts += read_notes(folder, 'promise')
    for result in _results(folder, 'grown'):
        parts += ['## Which region is smallest', _source(result), _regions(result)]
    for result in _results(folder):
        parts += [f'## {result.name}', _source(result)]
        parts += ['Regions and parameters, by patients that calibrate:', _by_size(result)]
        largest = list(result.figures['sizes'])[-1]
        parts += [f'Each parameter, {largest} patients, 95 %:', _by_parameter(result)]
        parts += [f'What is followed, {largest} patients, 95 %:', _by_variant(result)]
        parts += ['Systematic errors over all patients of the pool:', _offsets(result)]
        parts += ['How errors lie to the ellipses:', _aspects(result)]
        if result.figures['shifted']:
            parts += [f'Under shift, calibrated on {largest} patients:', _under_shift(result)]
    return render_page('Intervals that hold for the next patient', parts)


def _results(folder: Path, kind: str = 'promise') -> list[Result]:
    results = read_folder(folder / 'promise', read_result).values()
    return [result for result in results if result.kind == kind]


def _source(result: Result) -> str:
    return f'{result.data}; {result.model}; {result.calibrated_on}.'


def _regions(result: Result) -> str:
    levels = result.figures
    rows = [
        [name]
        + [
            f'{_percent(held["coverage"])} %, {format_number(held["radius"], 2)} mm'
            for held in (regions[name] for regions in levels.values())
        ]
        for name in next(iter(levels.values()))
    ]
    columns = ['region', *(f'promised {100 * float(level):g} %' for level in levels)]
    return 'Held, and mean radius of the circle as large.\n\n' + render_table(columns, rows)


def _curves(result: Result) -> dict[str, Any]:
    sizes = result.figures['sizes']
    return {
        'patients': [int(size) for size in sizes],
        'held': {
            unit: {
                float(level): [sizes[size][unit][level]['all'] for size in sizes]
                for level in next(iter(sizes.values()))[unit]
            }
            for unit in UNITS
        },
    }


def _by_size(result: Result) -> str:
    rows = []
    for size, units in result.figures['sizes'].items():
        for level, held in units['patient'].items():
            before = units['image'][level]
            rows.append(
                [
                    f'{size} ({100 * allowed_level(int(size)):.0f} % without a model)',
                    f'{100 * float(level):g} %',
                    *(_verdict(held[subset]['regions'], float(level)) for subset in SUBSETS[1:]),
                    _percent(before['all']['regions']['coverage']),
                    format_number(held['all']['regions']['radius'], 2),
                    format_number(before['all']['regions']['radius'], 2),
                    *(_parameters(held[subset], float(level)) for subset in SUBSETS[1:]),
                    _extremes(before['all']),
                    _ratio(held['all'], before['all'], 'width'),
                    _ratio(held['all'], before['all'], 'score'),
                ]
            )
    columns = [
        'patients', 'promised', 'regions, structured', 'unstructured', 'before (all)',
        'mean radius', 'before', 'parameters, structured: mean (least to most)', 'unstructured',
        'before (all)', 'width / before', 'interval score / before',
    ]  # fmt: skip
    return render_table(columns, rows)


def _by_parameter(result: Result) -> str:
    units = list(result.figures['sizes'].values())[-1]
    ours, before = (units[unit]['0.95'] for unit in UNITS)
    rows = []
    for name in ours['all']['parameters']:
        values = [ours[subset]['parameters'][name] for subset in SUBSETS]
        old = before['all']['parameters'][name]
        rows.append(
            [
                name,
                _bracketed(values[0]),
                *(_percent(each['coverage']) for each in values[1:]),
                _percent(old['coverage']),
                *(format_number(each['width'], 2) for each in (values[0], old)),
                *(format_number(each['score'], 2) for each in (values[0], old)),
            ]
        )
    columns = ['parameter', 'held', 'structured', 'unstructured', 'before', 'mean width', 'before',
               'interval score', 'before']  # fmt: skip
    return render_table(columns, rows)


def _by_variant(result: Result) -> str:
    variants = result.figures['variants']
    first = next(iter(variants.values()))['all']
    rows = []
    for name, held in variants.items():
        whole = held['all']
        gains = {
            output: whole['parameters'][output]['width'] / values['width']
            for output, values in first['parameters'].items()
            if values['width']
        }
        best = sorted(gains, key=lambda output: gains[output])[:4]
        rows.append(
            [
                name,
                _bracketed(whole['regions']),
                format_number(whole['regions']['radius'], 2),
                *(_percent(held[subset]['regions']['coverage']) for subset in SUBSETS[1:]),
                _extremes(whole),
                *(_percent(held[subset]['mean_coverage']) for subset in SUBSETS[1:]),
                _ratio(whole, first, 'width'),
                _ratio(whole, first, 'score'),
                ', '.join(f'{each} {gains[each]:.2f}' for each in best if gains[each] < 0.98),
            ]
        )
    columns = ['followed', 'regions hold', 'mean radius', 'structured', 'unstructured',
               'parameters hold', 'structured', 'unstructured', 'width / first row',
               'interval score / first row', 'narrowed most (width / first row)']  # fmt: skip
    return render_table(columns, rows)


def _offsets(result: Result) -> str:
    rows = []
    for name, offset in result.figures['offsets'].items():
        value, low, high = (format_number(offset[key], 2, '+') for key in ('value', 'low', 'high'))
        corrected = 'corrected' if offset['corrected'] else '-'
        rows.append([name, f'{value} [{low}, {high}]', str(offset['patients']), corrected])
    return render_table(['parameter', 'measured minus true', 'patients', 'interval'], rows)


def _aspects(result: Result) -> str:
    aspect = result.figures['aspect']
    rows = [
        [
            f'{number} {each.name}',
            *(format_number(values[each.name], 2) for values in aspect.values()),
        ]
        for number, each in enumerate(LANDMARK_CLASSES, 1)
        if number in _HARD
    ]
    means = [float(np.mean(list(values.values()))) for values in aspect.values()]
    rows.append(['mean of all twelve', *(format_number(each, 2) for each in means)])
    words = (
        'Share of the squared error, in units of the ellipse, along its longer axis: 0.50 where '
        'the direction and the elongation are right.\n\n'
    )
    return words + render_table(['landmark', *aspect], rows)


def _under_shift(result: Result) -> str:
    rows = []
    for name, units in result.figures['shifted'].items():
        for level in sorted({'0.8', '0.95'} & units['patient'].keys()):
            held, before = units['patient'][level], units['image'][level]
            rows.append(
                [
                    name,
                    f'{100 * float(level):g} %',
                    _bracketed(held['all']['regions']),
                    _percent(before['all']['regions']['coverage']),
                    format_number(held['all']['regions']['radius'], 2),
                    _extremes(held['all']),
                    _extremes(before['all']),
                    _percent(1 - held['usual_images']),
                    _percent(held['usual']['regions']['coverage']),
                    _extremes(held['usual']),
                ]
            )
    columns = [
        'shift', 'promised', 'regions', 'before', 'mean radius', 'parameters', 'before',
        'images out of range', 'regions of the others', 'parameters of the others',
    ]  # fmt: skip
    return render_table(columns, rows)


def _verdict(region: Mapping[str, Any], level: float) -> str:
    return _bracketed(region) + _missed(region['coverage'], level, _ROOM['regions'])


def _parameters(held: Mapping[str, Any], level: float) -> str:
    values = _coverages(held)
    if not values:
        return '-'
    worst = max(values, key=lambda value: abs(value - level))
    missed = _missed(held['mean_coverage'], level, _ROOM['parameters']) or _missed(
        worst, level, _ROOM['worst']
    )
    return _extremes(held) + missed


def _missed(value: float | None, level: float, room: float) -> str:
    return '' if value is None or abs(value - level) <= room + 5e-4 else ' **missed**'


def _coverages(held: Mapping[str, Any]) -> list[float]:
    each = (values['coverage'] for values in held['parameters'].values())
    return [value for value in each if value is not None]


def _extremes(held: Mapping[str, Any]) -> str:
    values = _coverages(held)
    if not values:
        return '-'
    return f'{_percent(held["mean_coverage"])} ({_percent(min(values))} to {_percent(max(values))})'


def _ratio(held: Mapping[str, Any], other: Mapping[str, Any], name: str) -> str:
    ratios = [
        values[name] / other['parameters'][output][name]
        for output, values in held['parameters'].items()
        if values[name] and other['parameters'][output][name]
    ]
    return format_number(float(np.exp(np.mean(np.log(ratios)))) if ratios else None, 3)


def _bracketed(share: Mapping[str, Any]) -> str:
    if share['low'] is None:
        return _percent(share['coverage'])
    return f'{_percent(share["coverage"])} [{_percent(share["low"])}, {_percent(share["high"])}]'


def _percent(value: float | None) -> str:
    return format_number(None if value is None else 100 * value, 1)
