"""What the pages of results are made of: tables, numbers, notes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .results import Result

_TABLE_COLUMNS = (
    'MRE', 'median', 'SDR@2mm', 'SDR@4mm', 'SDR@10mm', 'NME', 'recall', 'set_error/E_20',
)  # fmt: skip


def render_page(title: str, parts: Iterable[str]) -> str:
    """Return a page of paragraphs, tables and headings under its title."""
    return '\n\n'.join([f'# {title}', *parts]) + '\n'


def read_notes(folder: Path, name: str) -> list[str]:
    """Return what a person wrote about a page or a run in ``notes/NAME.md``, if anything."""
    path = folder / 'notes' / f'{name}.md'
    return [path.read_text().strip()] if path.is_file() else []


def render_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table.

    Example:
        >>> print(render_table(['a', 'b'], [['1', '2']]))
        | a | b |
        |---|---|
        | 1 | 2 |
    """
    lines = ['| ' + ' | '.join(row) + ' |' for row in (columns, *rows)]
    return '\n'.join([lines[0], '|---' * len(columns) + '|', *lines[1:]])


def render_records(columns: Sequence[str], records: Iterable[Mapping[str, Any]]) -> str:
    """Return a Markdown table of some fields of records, with a dash for what one lacks."""
    return render_table(columns, [[str(row.get(name, '-')) for name in columns] for row in records])


def format_number(value: float | None, digits: int = 3, sign: str = '') -> str:
    """Return a figure with its decimals; a dash where it is undefined.

    Example:
        >>> format_number(2.0), format_number(0.25, 1, '+'), format_number(None)
        ('2.000', '+0.2', '-')
    """
    return '-' if value is None or math.isnan(value) else f'{value:{sign}.{digits}f}'


def markdown_table(results: Sequence[Result], columns: Sequence[str] = _TABLE_COLUMNS) -> str:
    """Return results as a Markdown table, one row for each run and subset.

    Columns are figures without their subset: ``'set_error/E_20'`` is the ``E_20`` of the metric
    whose prefix is ``set_error``.

    Example:
        >>> metrics = {'all/MRE': 2.0, 'all/recall': 1.0}
        >>> run = Result(name='a', data='simulated', seed=0, metrics=metrics)
        >>> print(markdown_table([run], ['MRE', 'recall']))
        | run | subset | MRE | recall |
        |---|---|---|---|
        | a | all | 2.000 | 1.000 |
    """
    names = [column.rsplit('/', 1)[-1] for column in columns]
    rows: list[list[str]] = []
    for result in results:
        metrics = result.metrics or {}
        for subset in ('structured', 'unstructured', 'all'):
            values = [metrics.get(_key(column, subset)) for column in columns]
            if any(value is not None for value in values):
                rows.append([result.name, subset, *map(format_number, values)])
    return render_table(['run', 'subset', *names], rows)


def _key(column: str, subset: str) -> str:
    prefix, _, figure = column.rpartition('/')
    return '/'.join(filter(None, (prefix, subset, figure)))
