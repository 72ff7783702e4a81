"""The text of a flat config: readable, and what it was made of."""

from pathlib import Path

import pytest
from mmengine.config import Config

from unsct_mmpose.cli.main import main
from unsct_mmpose.research.flatten_config import HAS_CUDA, content_of, flatten_config, render

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    'value',
    [dict(), [], (), (1,), dict(a=(1, 2.5), type='A'), [dict(x=None), 'it is "so"'], 1e-3, True],
    ids=repr,
)
def test_what_is_written_reads_back_the_same(value):
    assert eval(render(value)) == value


def test_long_values_take_lines_of_at_most_a_hundred_characters():
    value = dict(stage=dict(numbers=list(range(60)), names=['landmark'] * 30), deep=[dict(a=[1])])
    text = render(value)
    assert max(map(len, text.splitlines())) <= 100
    assert eval(text) == value


def test_the_type_of_a_component_goes_first():
    assert render(dict(layer=1, type='HRNet')) == "dict(type='HRNet', layer=1)"


def test_what_a_config_inherits_is_in_its_text_and_questions_stay_questions(tmp_path, monkeypatch):
    monkeypatch.setenv('UNSCT_DATA', '/mine')
    (tmp_path / 'base.py').write_text(
        f"data_root = '{{{{$UNSCT_DATA:here}}}}'\noptim_wrapper = dict(fused={HAS_CUDA})\n"
    )
    (tmp_path / 'above.py').write_text("_base_ = './base.py'\nhelper = 3\nmodel = dict(depth=3)\n")
    text = flatten_config(tmp_path / 'above.py', header='# one\n')
    assert text.splitlines() == [
        '# one',
        "data_root = '{{$UNSCT_DATA:data/phantom}}'",
        'model = dict(depth=3)',
        f'optim_wrapper = dict(fused={HAS_CUDA})',
    ]
    (tmp_path / 'flat.py').write_text(text)
    flat, layered = (Config.fromfile(tmp_path / f'{name}.py') for name in ('flat', 'above'))
    assert content_of(flat) == content_of(layered)
    assert content_of(flat)['data_root'] == '/mine'


def test_a_codec_that_comes_again_is_named_so_that_one_edit_changes_all(tmp_path):
    (tmp_path / 'mine.py').write_text(
        "codec = dict(type='C', input_size=(8, 6), sigma=1.0)\n"
        'model = dict(head=dict(decoder=codec))\n'
        'train_dataloader = dict(encoder=dict(codec, sigma=2.0), size=(8, 6))\n'
    )
    assert flatten_config(tmp_path / 'mine.py').splitlines()[1:] == [
        'model = dict(head=dict(decoder=codec))',
        "train_dataloader = dict(encoder=dict(codec, sigma=2.0), size=codec['input_size'])",
    ]


def test_generating_again_gives_the_files_that_are_there(tmp_path):
    assert main(['flatten-configs', '--out', str(tmp_path)]) == 0
    kept = ROOT / 'configs/flat'
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in kept.glob('*.py')}
    for path in tmp_path.iterdir():
        without_header = (text.partition('default_scope')[2] for text in
                          (path.read_text(), (kept / path.name).read_text()))  # fmt: skip
        assert len(set(without_header)) == 1, path.name
