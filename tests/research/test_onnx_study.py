import json
import mmap

import numpy as np
import pytest

from unsct_mmpose.research import onnx_study
from unsct_mmpose.research.onnx_study import (
    memory_growth_mb,
    predict_cost,
    render_onnx_page,
    resident_mb,
)
from unsct_mmpose.research.pages import write_page


def test_the_page_shows_what_the_files_hold_and_a_dash_for_what_they_lack(tmp_path):
    (tmp_path / 'onnx').mkdir()
    (tmp_path / 'notes').mkdir()
    (tmp_path / 'notes' / 'onnx.md').write_text('Words.')
    predict = dict(config='c.py', threads=1, ratio_median=2.5, machine='a machine')
    models = [dict(model='PyTorch', decisions_changed=0), dict(model='static', megabytes=3.8)]
    (tmp_path / 'onnx' / 'predict.json').write_text(json.dumps(predict))
    (tmp_path / 'onnx' / 'exports.json').write_text(json.dumps(dict(models=models)))
    text = write_page(tmp_path, 'onnx').read_text()
    rows = [line for line in text.splitlines() if line.startswith('|')]
    assert any('| c.py | 1 | - |' in row and '2.5' in row for row in rows)
    assert any(row.startswith('| static | 3.8 | - |') for row in rows)
    assert text.index('## From a file') < text.index('## What changes') < text.index('Words.')


def test_the_committed_page_is_made_from_the_committed_files(request):
    folder = request.config.rootpath / 'docs' / 'results'
    assert (folder / 'onnx.md').read_text() == render_onnx_page(folder)


def test_memory_that_is_kept_is_seen_and_the_warm_up_is_not(monkeypatch):
    kept = []
    monkeypatch.setattr(onnx_study, 'resident_mb', lambda: 100.0 + len(kept))

    def read(number):
        if number < 10 or number % 2:
            kept.append(number)

    assert memory_growth_mb(read, range(50), 10) == 20


def test_resident_memory_sees_what_is_allocated():
    before = resident_mb()
    held = np.frombuffer(mmap.mmap(-1, 2**27), np.uint8)  # past an allocator that keeps pages
    held[:] = 1
    assert resident_mb() - before > 0.9 * held.nbytes / 2**20


def test_both_ways_read_the_same_files_in_turn(monkeypatch, tmp_path):
    seen = []

    class Fast:
        def __init__(self, path, threads):
            pass

        def infer(self, images):
            seen.append('onnx')

    monkeypatch.setattr(onnx_study, 'OnnxModel', Fast)
    monkeypatch.setattr(onnx_study, 'torch_reader', lambda *_: lambda path: seen.append(path.name))
    monkeypatch.setattr(onnx_study, 'read_radiograph', lambda path: path_with_pixels())
    files = [tmp_path / 'a.dcm', tmp_path / 'b.dcm']
    cost = predict_cost('c.py', 'w.pth', 'm.onnx', files, rounds=3, images=10, threads=1)
    assert seen[:10] == ['onnx', 'a.dcm', 'onnx', 'b.dcm'] * 2 + ['onnx', 'a.dcm']
    assert seen[10:] == ['onnx'] * 10
    assert cost['ratio_min'] <= cost['ratio_median'] <= cost['ratio_max']
    assert cost['images'] == 10
    with pytest.raises(ValueError, match='0 files'):
        predict_cost('c.py', 'w.pth', 'm.onnx', [], rounds=3)


def path_with_pixels():
    return type('Pixels', (), dict(pixels=np.zeros((4, 4), np.float32)))()
