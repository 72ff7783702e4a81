"""Data sets in a config, alone or inside ``CombinedDataset``, ``ConcatDataset`` and the like."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any


def inner_settings(settings: Mapping[str, Any], name: str = '') -> Iterator[tuple[str, Any]]:
    """Yield dotted name and settings of each data set that reads files in one that may wrap others.

    Example:
        >>> one, two = dict(type='THADataset', ann_file='a'), dict(type='THADataset', ann_file='b')
        >>> wrapped = dict(type='RepeatDataset', times=2, dataset=dict(datasets=[one, two]))
        >>> [name for name, _ in inner_settings(wrapped, 'dataset')]
        ['dataset.dataset.datasets.0', 'dataset.dataset.datasets.1']
        >>> [name for name, _ in inner_settings(one, 'test_dataloader.dataset')]
        ['test_dataloader.dataset']
    """
    if 'datasets' in settings:
        for index, dataset in enumerate(settings['datasets']):
            yield from inner_settings(dataset, f'{name}.datasets.{index}'.lstrip('.'))
    elif isinstance(settings.get('dataset'), Mapping):
        yield from inner_settings(settings['dataset'], f'{name}.dataset'.lstrip('.'))
    else:
        yield name, settings


def inner_datasets(dataset: Any) -> list[Any]:
    """Return the data sets that read files inside a built one; itself if it wraps none."""
    within = getattr(dataset, 'datasets', None) or [getattr(dataset, 'dataset', None)]
    sources = [inner for each in within if each is not None for inner in inner_datasets(each)]
    return sources or [dataset]


def pipeline_settings(settings: Mapping[str, Any]) -> Sequence[Any]:
    """Return the pipeline of a data set in a config: that of the outermost one that has any.

    Raises:
        ValueError: there is none.
    """
    while not settings.get('pipeline'):
        within = settings.get('datasets') or [settings.get('dataset')]
        if not isinstance(within[0], Mapping):
            raise ValueError(f'the data set {settings.get("type")!r} has no pipeline')
        settings = within[0]
    return settings['pipeline']


def with_data(
    settings: Mapping[str, Any], root: str | Path | None, ann_file: str | None
) -> dict[str, Any]:
    """Return settings of a data set that reads other files, where a folder or a file is given.

    Raises:
        ValueError: it wraps several data sets, so that one folder or file does not say which.
    """
    changed = copy.deepcopy(dict(settings))
    given = {k: v for k, v in (('data_root', root), ('ann_file', ann_file)) if v}
    inner = list(inner_settings(changed))
    if given and len(inner) > 1:
        raise ValueError(
            f'{" and ".join(given)} cannot be replaced: {settings["type"]} combines '
            f'{len(inner)} data sets; set them in the config, or by --cfg-options'
        )
    for _, dataset in inner:
        dataset.update(given)
        if dataset.get('data_root') is not None:
            dataset['data_root'] = str(dataset['data_root'])
    return changed
