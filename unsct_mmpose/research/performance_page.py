"""The page of what is fast, and what is not: a row for each target beside what was measured."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import cv2

from unsct_mmpose.drawing.figures import figure_growth
from unsct_mmpose.drawing.picture_files import encode_picture
from unsct_mmpose.files import replace_file

from .markdown import read_notes, render_page, render_table
from .results import format_versions, read_folder, read_json

FOLDER = 'performance'


class Target(NamedTuple):
    """Something that is wanted, with its unit, at least or at most; why it may be unmeasured."""

    sign: str
    words: str
    bound: float
    unmeasured: str = 'not measured yet'


_GPU = 'needs a GPU: `tools/benchmark.py step configs/unsct_hrnet_tha.py --device cuda`'

_GPU_TOO = 'needs a GPU: `tools/benchmark.py predict CONFIG CHECKPOINT FOLDER --device cuda`'


_at_least, _at_most = (partial(Target, sign) for sign in ('at least', 'at most'))

TARGETS: Mapping[str, Target] = {
    'demo_minutes': _at_most('`make demo` from a fresh clone, two float32 cores, minutes', 6),
    'gpu_step_over_before': _at_least('step, W32, 512, batch 16, H100, over 69 images/s', 3, _GPU),
    'gpu_step_over_stock': _at_least('the same over stock MMPose in fp16', 2.5, _GPU),
    'gpu_busy_share': _at_least('share of the time that the GPU is busy', 0.8, _GPU),
    'step_waits': _at_most('operators of a step that the host waits for', 0),
    'pipeline_ms': _at_most('augmentation at 512, processor ms an image', 20),
    'cpu_step_float32': _at_most('step on two cores over stock MMPose, float32', 1.10),
    'cpu_step_bfloat16': _at_most('the same, bfloat16', 1.10),
    'cpu_step_recommended': _at_least('the same, recommended, images/s over stock', 1.3),
    'predict_batch_1': _at_least('DICOM to json over stock MMPose, two cores, batch 1', 3),
    'predict_batch_16': _at_least('DICOM to json over stock MMPose, two cores, batch 16', 4),
    'predict_gpu_images_per_s': _at_least('forward, decoding, 512, H100, images/s', 1500, _GPU_TOO),
    'decode_share': _at_most('decoding and uncertainty over the forward pass', 0.05),
    'evaluation_seconds': _at_most('evaluation of 10,000 images, s', 60),
    'evaluation_gib': _at_most('its memory beyond inference, GiB', 2),
    'annotations_seconds': _at_most('data set of 100,000 images ready, s', 10),
    'annotations_worker_share': _at_most('what a worker holds of it by itself, share', 0.5),
    'growth_evaluation': _at_most('exponent of the time of evaluation', 1.1),
    'growth_annotations': _at_most('exponent of the time of loading annotations', 1.1),
    'growth_decoding': _at_most('exponent of the time of decoding', 1.1),
    'decoding_memory_mb': _at_most('memory that decoding 10,000 images adds, MiB', 50),
    'phantom_images_per_s': _at_least('phantom at 512 on two cores, images/s', 8),
    'test_minutes': _at_most('`make test` on two cores, minutes', 4),
    'check_minutes': _at_most('`make check` on two cores, minutes', 1),
}  # fmt: skip
"""What is wanted, in the order of the page. A json file in ``performance/`` says what was measured
under ``targets``: for each of these names ``value``, perhaps ``min`` and ``max``."""

_ROWS = ('rows', 'annotations', 'evaluation', 'decoding', 'pixels', 'landmarks', 'stages')


def render_performance_page(folder: Path) -> str:
    """Return the page of ``performance/*.json`` and, if it is there, ``full_size/timings.json``."""
    files = {**_from_full_size(folder), **read_folder(folder / FOLDER)}
    parts = [
        'Made by `python tools/results.py page docs/results` from the json files in '
        f'`{FOLDER}/`, which `make performance` (`python tools/benchmark.py all docs/results`) '
        'writes; the rows of the GPU are from `full_size/timings.json`. Times are wall times, '
        'medians of at least 5 alternating pairs unless a section says otherwise, with the least '
        'and the largest. Images that are made for timing are **simulated**.',
        _targets(files),
        *read_notes(folder, 'performance'),
    ]
    if (folder / FOLDER / 'scale.png').is_file():
        parts += ['## Growth', f'![time and memory as work grows]({FOLDER}/scale.png)']
    for name, content in files.items():
        parts += _section(name, content)
    return render_page('Performance', parts)


def _from_full_size(folder: Path) -> dict[str, Any]:
    """Return what the timings on an H100, made by a session that had one, say of the targets."""
    path = folder / 'full_size' / 'timings.json'
    if not path.is_file():
        return {}
    content = read_json(path)
    stock = content['rows'][0]['ms_per_step']
    ours = min(
        row['ms_per_step']
        for row in content['rows']
        if row['network'] == 'unsct' and row['ms_per_step'] is not None
    )
    targets = dict(
        gpu_step_over_before=dict(value=round(16_000 / ours / 69, 2)),
        gpu_step_over_stock=dict(value=round(stock / ours, 2)),
        gpu_busy_share=dict(value=round(content['busy']['gpu_busy_ms'] / ours, 2)),
    )
    return {'full-size': dict(content, rows=[], targets=targets)}


def _targets(files: Mapping[str, Any]) -> str:
    measured = {
        name: (value, where)
        for where, content in files.items()
        for name, value in content.get('targets', {}).items()
    }
    rows = []
    for name, target in TARGETS.items():
        wanted = f'{target.sign} {target.bound:g}'
        if name not in measured:
            rows.append([target.words, wanted, '-', '-', target.unmeasured])
            continue
        figure, where = measured[name]
        value = figure['value']
        is_met = (value - target.bound) * (1 if target.sign == 'at least' else -1) >= 0
        spread = f' ({figure["min"]:g} to {figure["max"]:g})' if 'min' in figure else ''
        rows.append(
            [target.words, wanted, f'{value:g}{spread}', 'yes' if is_met else '**no**', where]
        )
    return render_table(['target', 'wanted', 'measured', 'met', 'from'], rows)


def _section(name: str, content: Mapping[str, Any]) -> list[str]:
    parts = [f'## {name}']
    about = [str(content[key]) for key in ('what', 'machine') if content.get(key)]
    if content.get('versions'):
        about.append(format_versions(content['versions']))
    if content.get('command'):
        about.append(f'`{content["command"]}`')
    parts += ['; '.join(about) + '.'] if about else []
    for key in _ROWS:
        if rows := content.get(key):
            parts += ([] if key == 'rows' else [f'{key.capitalize()}:']) + [_table(rows)]
    return parts


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    names = [column.replace('_', ' ') for column in columns]
    return render_table(names, [[_cell(row.get(column)) for column in columns] for row in rows])


def _cell(value: Any) -> str:
    if value is None:
        return '-'
    return f'{value:g}' if isinstance(value, float) else str(value)


def write_performance_picture(folder: Path) -> None:
    """Draw the growth of time and memory beside the json file of ``benchmark scale``."""
    path = folder / FOLDER / 'scale.json'
    if not path.is_file():
        return
    content = json.loads(path.read_text())
    runs = {name: content[name] for name in ('annotations', 'evaluation', 'decoding')}
    picture = figure_growth(runs, source='simulated predictions and annotations')
    encoded = encode_picture(picture, '.png', (cv2.IMWRITE_PNG_COMPRESSION, 9))
    replace_file(path.with_suffix('.png'), encoded)
