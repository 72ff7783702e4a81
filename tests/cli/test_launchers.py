"""tools/train.py and tools/test.py are MMPose's own scripts, with all their options."""

import json
import pickle
import runpy
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / 'tools'


@pytest.fixture
def tool(stock_run, monkeypatch, capfd):
    """Run a launcher in this process, where all is imported; return what it prints."""
    monkeypatch.chdir(stock_run)
    monkeypatch.setenv('LOCAL_RANK', '0')
    monkeypatch.setattr(sys, 'path', [str(TOOLS), *sys.path])
    monkeypatch.delitem(sys.modules, '_launch', raising=False)

    def run(name, *arguments):
        monkeypatch.setattr(sys, 'argv', [str(TOOLS / name), 'stock.py', *arguments])
        with pytest.raises(SystemExit) as left:
            runpy.run_path(str(TOOLS / name), run_name='__main__')
        assert not left.value.code
        printed = capfd.readouterr()
        return printed.out + printed.err

    return run


def test_train_resume_and_test_work_with_every_output_they_offer(stock_run, tool):
    tool('train.py', '--work-dir', 'run', '--no-validate')
    assert (stock_run / 'run/epoch_1.pth').is_file()

    resumed = tool(
        'train.py', '--work-dir', 'run', '--resume', '--cfg-options', 'train_cfg.max_epochs=2'
    )
    assert 'resumed epoch: 1' in resumed
    assert (stock_run / 'run/epoch_2.pth').is_file()
    assert list((stock_run / 'run').glob('best_EPE_epoch_*.pth'))

    tool(
        'test.py', 'run/epoch_2.pth', '--work-dir', 'run', '--out', 'metrics.json',
        '--dump', 'predictions.pkl', '--show-dir', 'drawn',
    )  # fmt: skip
    assert json.loads((stock_run / 'metrics.json').read_text())['EPE'] > 0
    assert len(pickle.loads((stock_run / 'predictions.pkl').read_bytes())) == 4
    assert len(list((stock_run / 'run').rglob('drawn/*.png'))) == 4


def test_the_launchers_hold_no_copy_of_the_scripts():
    for name in ('train.py', 'test.py'):
        assert 'argparse' not in (TOOLS / name).read_text()
