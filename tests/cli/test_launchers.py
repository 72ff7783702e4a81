"""tools/train.py and tools/test.py are MMPose's own scripts, with all their options."""

import json
import pickle
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / 'tools'


@pytest.mark.slow
def test_train_resume_and_test_work_with_every_output_they_offer(stock_run, run_python):
    def tool(name, *arguments):
        return run_python(TOOLS / name, 'stock.py', *arguments, cwd=stock_run)

    tool('train.py', '--work-dir', 'run', '--no-validate')
    assert (stock_run / 'run/epoch_1.pth').is_file()

    resumed = tool(
        'train.py', '--work-dir', 'run', '--resume', '--cfg-options', 'train_cfg.max_epochs=2'
    )
    assert 'resumed epoch: 1' in resumed.stdout + resumed.stderr
    assert (stock_run / 'run/epoch_2.pth').is_file()
    assert list((stock_run / 'run').glob('best_EPE_epoch_*.pth'))

    tool(
        'test.py', 'run/epoch_2.pth', '--work-dir', 'run', '--out', 'metrics.json',
        '--dump', 'predictions.pkl', '--show-dir', 'drawn',
    )  # fmt: skip
    assert json.loads((stock_run / 'metrics.json').read_text())['EPE'] > 0
    assert len(pickle.loads((stock_run / 'predictions.pkl').read_bytes())) == 4
    assert len(list((stock_run / 'run').rglob('drawn/*.png'))) == 4


def test_a_missing_config_is_named(tmp_path, run_python):
    done = run_python(TOOLS / 'train.py', 'nowhere.py', cwd=tmp_path, check=False)
    assert done.returncode != 0
    assert 'nowhere.py' in done.stderr


def test_the_launchers_hold_no_copy_of_the_scripts():
    for name in ('train.py', 'test.py'):
        assert 'argparse' not in (TOOLS / name).read_text()
