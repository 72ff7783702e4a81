"""What docs/how-to/air-gapped-gpu.md tells its reader to do is what the project is."""

import re
from pathlib import Path

import pytest
from mmengine.config import Config

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / 'docs' / 'how-to' / 'air-gapped-gpu.md').read_text()


def pins(text):
    rows = (row.partition(';')[0].strip() for row in text.splitlines())
    return {row.lower() for row in rows if '==' in row and not row.startswith('#')}


def test_the_wheels_to_carry_have_versions_that_the_requirements_pin():
    block = re.search(r'```\n(.*?)```', PAGE, re.DOTALL).group(1)
    known = set().union(*(pins(path.read_text()) for path in (ROOT / 'requirements').glob('*.txt')))
    assert len(pins(block)) == 17
    assert pins(block) <= known


@pytest.fixture
def configs(tmp_path):
    """The config that trains, and the page's, which leaves out what is done for speed."""
    door = ROOT / 'configs' / 'unsct_hrnet_tha.py'
    block = re.search(r'```python\n(.*?)```', PAGE, re.DOTALL).group(1)
    (tmp_path / 'mine.py').write_text(block.replace('./unsct_hrnet_tha.py', str(door)))
    return Config.fromfile(door), Config.fromfile(tmp_path / 'mine.py')


def test_the_lines_of_the_page_switch_graph_bfloat16_and_late_targets_off(configs):
    fast, plain = configs
    assert [hook['type'] for hook in fast.custom_hooks if hook not in plain.custom_hooks] == [
        'CUDAGraphHook'
    ]
    assert (fast.optim_wrapper.type, plain.optim_wrapper.type) == (
        'AmpOptimWrapper', 'OptimWrapper'
    )  # fmt: skip
    before, after = (config.train_dataloader.dataset.pipeline for config in configs)
    assert [hook['type'] for hook in before] == [hook['type'] for hook in after]
    assert before[-2]['encoder'].pop('draw_late') is True
    assert list(before) == list(after)


def test_nothing_else_changes_with_them(configs):
    fast, plain = configs
    for name in ('model', 'train_cfg', 'param_scheduler', 'val_dataloader', 'default_hooks'):
        assert fast[name] == plain[name], name
    assert fast.optim_wrapper.optimizer == plain.optim_wrapper.optimizer


def test_the_page_names_no_registry():
    assert not re.search(r'https?://|index-url', PAGE)
