"""The pages of results: their index, and how all of them are written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from unsct_mmpose.files import replace_file

from .full_size_page import render_full_size_page
from .fusion_study import render_fusion_page
from .markdown import markdown_table, read_notes, render_page, render_records
from .onnx_study import render_onnx_page
from .performance_page import FOLDER, render_performance_page, write_performance_picture
from .promise_study import render_promise_page, write_promise_picture
from .results import Result, format_versions, read_folder, read_result
from .study_page import render_study_page
from .torture.page import render_reliability_page

PAGES: Mapping[str, tuple[str, Callable[[Path], str]]] = {
    'uncertainty': ('uncertainty', render_study_page),
    'fusion': ('fusion', render_fusion_page),
    'full-size': ('full_size', render_full_size_page),
    'onnx': ('onnx', render_onnx_page),
    'promise': ('promise', render_promise_page),
    'performance': (FOLDER, render_performance_page),
    'reliability': ('reliability', render_reliability_page),
}
"""For each page the folder of json files that it is made of, and what makes it."""

_STEP_COLUMNS = (
    'config', 'precision', 'batch_size', 'ms_per_image', 'plain_ms_per_image', 'ratio_median',
    'ratio_min', 'ratio_max', 'peak_memory_mb', 'plain_peak_memory_mb', 'machine',
)  # fmt: skip
_DECODE_COLUMNS = (
    'config', 'map_size', 'batch_size', 'decode_ms_per_image', 'forward_ms_per_image',
    'share_median', 'share_min', 'share_max', 'machine',
)  # fmt: skip


def write_pages(folder: Path) -> list[Path]:
    """Write every page of a folder such as ``docs/results``, and return their paths.

    Nothing in them is typed by hand: a page is made of the json files in a folder beside it, and of
    ``notes/PAGE.md`` where that is there. Those of the paper's tables are
    :func:`.paper_page.write_paper_page`'s.
    """
    names = [name for name, (source, _) in PAGES.items() if (folder / source).is_dir()]
    return [write_page(folder, name) for name in (*names, 'README')]  # the last names the others


def write_page(folder: Path, name: str) -> Path:
    """Write one of :data:`PAGES`, or the index, ``README``, and return its path."""
    render = render_index_page if name == 'README' else PAGES[name][1]
    if name == 'promise':
        write_promise_picture(folder)
    if name == 'performance':
        write_performance_picture(folder)
    replace_file(folder / f'{name}.md', render(folder).encode())
    return folder / f'{name}.md'


def render_index_page(folder: Path) -> str:
    """Return the page of ``runs``, ``step`` and ``decode``, which names the other pages."""
    results = list(read_folder(folder / 'runs', partial(read_result, needs='metrics')).values())
    parts = [
        'Made by `python tools/results.py page docs/results` from the json files beside this page. '
        'Errors in mm on the detector (equation 11); localisation is over reported landmarks that '
        'are present. **All images are simulated: no figure here says anything about clinical '
        'accuracy.**',
        *_other_pages(folder),
        markdown_table(results),
    ]
    for result in results:
        parts += [*_run_section(result), *read_notes(folder, result.name)]
    if steps := read_folder(folder / 'step'):
        parts += [
            '## Cost of a training step',
            'Forward, losses, backward and optimiser on random images; *plain* is the same HRNet '
            "with MMPose's own HeatmapHead. The ratio is the median over alternating pairs of "
            'steps.',
            render_records(_STEP_COLUMNS, steps.values()),
            *read_notes(folder, 'step'),
        ]
    if decodes := read_folder(folder / 'decode'):
        parts += [
            '## Cost of decoding',
            'Reading landmarks, evidence, uncertainty and decisions from a batch of maps, '
            'calibration in place, beside the forward pass that makes maps of that size; *share* '
            'is the median over alternating pairs. '
            'Made by `python tools/benchmark.py decode --map-size N --out FILE`.',
            render_records(_DECODE_COLUMNS, decodes.values()),
        ]
    return render_page('Results', parts)


def _other_pages(folder: Path) -> list[str]:
    """Return one line that names the other pages of the folder, each by its own title."""
    titles = {
        path.name: path.read_text().partition('\n')[0].lstrip('# ')
        for path in sorted(folder.glob('*.md'))
        if path.name != 'README.md'
    }
    links = [f'[{title}]({name})' for name, title in titles.items()]
    return [f'Other pages: {"; ".join(links)}.'] if links else []


def _run_section(result: Result) -> list[str]:
    times = ', '.join(f'{stage} {value / 60:.1f} min' for stage, value in result.seconds.items())
    host = f'{result.machine}; {format_versions(result.versions)}'
    return [
        f'## {result.name}',
        f'{result.data}. Seed {result.seed}; {times}; {host}.',
        '```bash\n' + '\n'.join(result.commands) + '\n```',
    ]
