"""Regions grown from heatmaps beside ellipses: area at equal coverage of new patients."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from unsct_mmpose.anatomy import NUM_CLASSES, NUM_LANDMARKS, relation_set
from unsct_mmpose.calibrate.evidence_table import batches, concatenate, evidence_table, network_maps
from unsct_mmpose.functional.hierarchical import by_patient, hierarchical_quantile
from unsct_mmpose.functional.presence import region_radii, squared_mahalanobis
from unsct_mmpose.maps.assessment import Assessment
from unsct_mmpose.maps.calibration_fit import (
    EvidenceTable,
    FitOptions,
    apply_calibration,
    fit_calibration,
    refit_claims,
)
from unsct_mmpose.maps.deciders import DecisionOptions
from unsct_mmpose.maps.grown_regions import cell_probabilities, grown_areas, mass_above
from unsct_mmpose.maps.regions import covariances_to_px

from .study import restrict_relations

_POWERS = (1.0, 2.0, 4.0)
LEVELS = (0.5, 0.8, 0.95)
_MASSES = np.concatenate([np.linspace(0, 0.9, 91), 1 - np.geomspace(0.1, 1e-6, 60)])

Floats = NDArray[np.float64]


def collect(model: torch.nn.Module, dataset: Any, images: int | None = None) -> dict[str, Any]:
    """Run a model and keep, beside its evidence, what its heatmaps say of the true points.

    Returns:
        ``table``, and for each of :data:`_POWERS` ``(N, K)`` masses above the true points and
        ``(N, K, T)`` areas, mm^2.
    """
    codec, tables, masses, areas = model.head.decoder, [], [], []
    chosen = range(min(len(dataset), images or len(dataset)))
    subset = torch.utils.data.Subset(dataset, chosen)
    with torch.no_grad():
        for raw in batches(subset, 8, True):
            batch = model.data_preprocessor(raw, False)
            maps = network_maps(model, batch['inputs'])
            table = evidence_table(codec.gather(maps).cpu(), batch['data_samples'], codec)
            meta = [sample.metainfo for sample in batch['data_samples']]
            scale, centre = (
                np.array([each[key] for each in meta], float)
                for key in ('input_scale', 'input_center')
            )
            cell = scale / np.asarray(codec.heatmap_size, float)
            true = np.nan_to_num(table.true_px, nan=-1e6)
            points = (true - (centre - 0.5 * scale)[:, None] + 0.5) / cell[:, None] - 0.5
            size = (cell * table.spacing_xy_mm / table.magnification[:, None]).prod(axis=1)
            each_mass, each_area = [], []
            for power in _POWERS:
                shares = cell_probabilities(maps[:, :NUM_LANDMARKS].float(), power)
                each_mass.append(mass_above(shares, torch.from_numpy(points).float()).numpy())
                cells = grown_areas(shares, _MASSES.tolist()).numpy()
                each_area.append(cells * size[:, None, None])
            tables.append(table)
            masses.append(np.stack(each_mass))
            areas.append(np.stack(each_area))
    return dict(
        table=concatenate(tables),
        masses=np.concatenate(masses, axis=1),
        areas=np.concatenate(areas, axis=1),
    )


def compare(collected: dict[str, Any], patients: int, draws: int, seed: int = 0) -> dict[str, Any]:
    """Calibrate each kind of region on many drawn patients and judge it on the others.

    Returns:
        For each level and kind ``coverage`` and mean ``radius``, mm, of the circle as large as
        the region.
    """
    table, relations = restrict_relations(collected['table'], relation_set('full'), 'core')
    rng = np.random.default_rng(seed)
    people = np.array(sorted(set(table.patients.tolist())))
    sums: dict[tuple[float, str], Floats] = {}
    for _ in range(draws):
        taught = np.isin(table.patients, rng.choice(people, patients, replace=False))
        base, rest = table.take(taught), table.take(~taught)
        first, decision = fit_calibration(base, relations, FitOptions()), DecisionOptions()
        for level in LEVELS:
            for name, follow in (
                ('ellipse of the heatmap', ()),
                ('ellipse in the direction of the errors', ('direction',)),
                ('the same, by the height of the peak, too', ('peak', 'direction')),
            ):
                options = FitOptions(level=level, follow=follow)
                fitted = refit_claims(first, base, relations, options)
                _add(sums, (level, name), *_ellipses(rest, relations, fitted))
            learnt = _counted(base, apply_calibration(base, relations, first, decision)[0])
            counted = _counted(rest, apply_calibration(rest, relations, first, decision)[0])
            for index, power in enumerate(_POWERS):
                maps = collected['masses'][index], collected['areas'][index]
                inside, radius = _grown(*maps, taught, learnt, base.patients, level)
                name = f'grown, heatmap to the power {power:g}'
                _add(sums, (level, name), inside, radius, counted)
    figures: dict[str, Any] = {}
    for (level, name), (hits, size, count) in sums.items():
        share = dict(coverage=hits / count, radius=size / count)
        figures.setdefault(f'{level:g}', {})[name] = share
    return figures


def _counted(table: EvidenceTable, assessment: Assessment) -> Any:
    return table.present & table.labelled & assessment.reported.numpy()


def _ellipses(table: EvidenceTable, relations: Any, fitted: Any) -> tuple[Floats, Floats, Floats]:
    assessment, covariances = apply_calibration(table, relations, fitted, DecisionOptions())
    squared = squared_mahalanobis(table.points_px, table.true_px, covariances)
    scale = table.spacing_xy_mm / table.magnification[:, None]
    radius = region_radii(covariances_to_px(covariances, scale), fitted.region_level)
    inside = squared <= -2 * np.log1p(-fitted.region_level)
    return inside, radius, _counted(table, assessment)


def _grown(
    masses: Floats, areas: Floats, taught: Floats, learnt: Floats, patients: Any, level: float
) -> tuple[Floats, Floats]:
    scores = np.where(learnt, masses[taught], np.nan).reshape(len(learnt), 2, NUM_CLASSES)
    rows = by_patient(np.moveaxis(scores, 2, 1), patients)
    by_class = np.moveaxis(rows, 2, 0).reshape(NUM_CLASSES, len(rows), -1)
    limits = np.tile(hierarchical_quantile(by_class, level), 2)
    inside = masses[~taught] <= limits
    index = np.searchsorted(_MASSES, np.minimum(limits, _MASSES[-1]) - 1e-12)
    area = np.take_along_axis(areas[~taught], index[None, :, None], axis=2)[..., 0]
    return inside, np.sqrt(area / np.pi)


def _add(sums: dict, key: Any, inside: Floats, radius: Floats, counted: Floats) -> None:
    hits = float((inside & counted).sum())
    size = float(np.where(counted, radius, 0.0).sum())
    before = sums.get(key, np.zeros(3))
    sums[key] = before + [hits, size, float(counted.sum())]
