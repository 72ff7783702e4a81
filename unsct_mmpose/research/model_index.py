"""The index of models, in OpenMMLab's format: configs, released weights, measured figures."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from mmengine.config import Config

from unsct_mmpose.files import file_sha256, replace_file

from .paper_page import result_groups
from .paper_plan import ROWS, is_old
from .results import mean_of, read_folder, read_result

INDEX = 'model-index.yml'
_METAFILE = 'metafile.yml'
ALIASES = {'unsct_hrnet_tha_cpu': ['unsct-hrnet-tha']}
"""Short names, of models with released weights only: a short name gives a model that works."""

_HEADER = """# Written by `python tools/model_index.py` from configs/ and docs/results: do not edit.
# All figures are from SIMULATED radiographs and say nothing about clinical accuracy.
"""
_COLLECTIONS = {
    'UNSCT': (
        'UNSCT-HRNet: Modeling Anatomical Uncertainty for Landmark Detection in Total Hip '
        'Arthroplasty'
    ),
    'Stock': 'Models without part affinity fields, which UNSCT models are held against',
}
_STOCK_FOLDER = 'peers'
_FIGURES = {
    'MRE_mm': ('landmark/all/MRE', 'all/MRE'),
    'MRE_mm_structured': ('landmark/structured/MRE', 'structured/MRE'),
    'MRE_mm_unstructured': ('landmark/unstructured/MRE', 'unstructured/MRE'),
    'SDR@2mm': ('landmark/all/SDR@2mm', 'all/SDR@2mm'),
    'recall': ('presence/all/recall', 'all/recall'),
    'E_20_mm': ('set_error/all/E_20', 'set_error/all/E_20'),
}
"""Figure of a metafile: its name in the paper's results, and in those of a run."""

_SETS = ('phantom', 'vsd_ap')
"""Data sets, for short: `mim search` puts them before the name of each figure."""

Results = list[dict[str, Any]]


def write_model_index(root: Path) -> list[Path]:
    """Write ``model-index.yml`` and a ``metafile.yml`` for each folder of configs; return them.

    Raises:
        ValueError: a result does not say that its images are simulated, or two models would
            have one name.
    """
    content = render_model_index(root)
    for path, text in content.items():
        replace_file(path, text.encode())
    return list(content)


def render_model_index(root: Path) -> dict[Path, str]:
    """Return the content of each file that :func:`write_model_index` writes."""
    results = _results_of_configs(root / 'docs' / 'results')
    records: dict[Path, Results] = defaultdict(list)
    for config in released_configs(root / 'configs'):
        records[config.parent].append(_record(root, config, results))
    _check_names([record['Name'] for group in records.values() for record in group])
    content = {
        folder / _METAFILE: _yaml({**_collection(folder, root), 'Models': models})
        for folder, models in records.items()
    }
    names = [path.relative_to(root).as_posix() for path in content]
    return {**content, root / INDEX: _yaml({'Import': names})}


def released_configs(configs: Path) -> list[Path]:
    """Return every config that describes a model, sorted by folder and name."""
    paths = [*configs.glob('*.py'), *configs.glob('*/*.py')]
    return sorted(path for path in paths if not path.parent.name.startswith('_'))


def _record(root: Path, config: Path, results: Mapping[str, Results]) -> dict[str, Any]:
    path = config.relative_to(root).as_posix()
    name = f'flat-{config.stem}' if config.parent.name == 'flat' else config.stem
    content = Config.fromfile(config)
    model, start = content.model, content.get('load_from')
    parts = [model[part]['type'] for part in ('backbone', 'neck', 'head') if model.get(part)]
    fields = 'PAF' in parts[-1]
    measured = results.get(path, [])
    data = 'simulated radiographs' if measured else 'none: no result of this state'
    record: dict[str, Any] = {
        'Name': name,
        **({'Alias': ALIASES[name]} if name in ALIASES else {}),
        'Config': path,
        'In Collection': 'UNSCT' if fields else 'Stock',
        'Metadata': {
            'Architecture': parts,
            'Training Data': data,
            **(_origin(root, Path(start)) if start else {}),
        },
    }
    if measured:
        record['Results'] = measured
    weights = config.with_suffix('.pth')
    if weights.is_file():
        record['Weights'] = f'unsct://{name}'
        record['Weights File'] = weights.relative_to(root).as_posix()
        record['SHA256'] = file_sha256(weights)
    return record


def _origin(root: Path, start: Path) -> dict[str, str]:
    """Return which weights a training starts from, and their hash where they lie beside it."""
    start = root / start
    origin = {'Initial Weights': start.name}
    return {**origin, 'Initial SHA256': file_sha256(start)} if start.is_file() else origin


def _results_of_configs(results: Path) -> dict[str, Results]:
    """Return what was measured of each config, by its path from the repository."""
    measured: dict[str, Results] = defaultdict(list)
    for source in (_runs, _full_size, _paper_tables):
        for config, result in source(results):
            measured[config].append(result)
    return measured


def _runs(results: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the runs of configs as they stand; one with another schedule is of no config."""
    runs = read_folder(results / 'runs', partial(read_result, needs='metrics'))
    for name, run in runs.items():
        if not any('train_cfg.' in command for command in run.commands):
            path = results / 'runs' / f'{name}.json'
            yield str(run.config), _result(path, f'seed {run.seed}', run.data, run.metrics, 1)


def _full_size(results: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the trainings at full size that ended as planned; how long they were is said."""
    for name, run in read_folder(results / 'full_size').items():
        config = str(run.get('config', ''))
        if run.get('finished') and config.endswith('.py'):  # one with changes is told in words
            text = (
                f'{run["epochs"]} epochs of {run["steps_per_epoch"]} steps, batch of '
                f'{run["batch_size"]}, not the whole schedule of the config'
            )
            path = results / 'full_size' / f'{name}.json'
            yield config, _result(path, text, run['data'], run['curve'][-1], 1)


def _paper_tables(results: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield means over the seeds of each row; results before the row last changed are left out."""
    for (budget, data), group in result_groups(results / 'paper').items():
        for row in ROWS:
            runs = [run for run in group if run.config == row.source and not is_old(run)]
            if not runs or row.script:
                continue
            decision = 'fused' if row.fields else 'peak'
            figures = {
                name: mean_of([run.figure(decision, name) for run in runs])
                for name, _ in _FIGURES.values()
            }
            seeds = ', '.join(str(run.seed) for run in runs)
            which = f'mean of seeds {seeds}' if len(runs) > 1 else f'seed {seeds}'
            text = f'UNSCT_BUDGET={budget}, {which}, decision {decision}'
            path = results / 'paper' / budget / data / f'{runs[0].name}.json'
            yield row.source, _result(path, text, runs[0].data, figures, 0)


def _result(path: Path, text: str, data: str, figures: Any, column: int) -> dict[str, Any]:
    if 'simulated' not in data.lower():
        raise ValueError(
            f"{path}: field 'data' does not say that the images are simulated ({data!r}); figures "
            'of other images are not published here'
        )
    named = {name: figures.get(keys[column]) for name, keys in _FIGURES.items()}
    return {
        'Task': f'Hip landmarks; {data}; {text}',
        'Dataset': next((f'simulated-{name}' for name in _SETS if name in data), 'simulated'),
        'Metrics': {
            name: round(float(value), 4)
            for name, value in named.items()
            if value is not None and math.isfinite(value)
        },
    }


def _collection(folder: Path, root: Path) -> dict[str, Any]:
    """Return the collection that a folder's metafile defines; each is defined once."""
    home = {root / 'configs': 'UNSCT', root / 'configs' / _STOCK_FOLDER: 'Stock'}
    if folder not in home:
        return {}
    name = home[folder]
    paper = {'Paper': {'Title': _COLLECTIONS[name]}} if name == 'UNSCT' else {}
    notice = 'Research software, figures of simulated radiographs.'
    metadata = {} if paper else {'What': _COLLECTIONS[name]}
    return {'Collections': [{'Name': name, **paper, 'Metadata': {**metadata, 'Notice': notice}}]}


def _check_names(names: Sequence[str]) -> None:
    every = [*names, *(alias for name in names for alias in ALIASES.get(name, ()))]
    twice = sorted({name for name in every if every.count(name) > 1})
    if twice:
        raise ValueError(f'two models would be called {", ".join(twice)}: rename a config')


def _yaml(content: Mapping[str, Any]) -> str:
    return _HEADER + yaml.safe_dump(
        dict(content), sort_keys=False, allow_unicode=True, width=10**6, default_flow_style=False
    )
