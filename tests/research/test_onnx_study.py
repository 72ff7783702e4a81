import json

from unsct_mmpose.research.onnx_study import render_onnx_page
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
