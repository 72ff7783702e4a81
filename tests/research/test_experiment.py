import os

import pytest

from unsct_mmpose.research.experiment import (
    Experiment,
    best_checkpoint,
    check_result,
    run_experiment,
    run_tool,
)
from unsct_mmpose.research.results import Result, write_result


def test_the_best_checkpoint_wins_over_the_last(tmp_path):
    (tmp_path / 'epoch_3.pth').touch()
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'epoch_3.pth'))
    assert best_checkpoint(tmp_path) == tmp_path / 'epoch_3.pth'
    for age, name in enumerate(['best_all_MRE_epoch_2.pth', 'best_all_MRE_epoch_1.pth']):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    assert best_checkpoint(tmp_path) == tmp_path / 'best_all_MRE_epoch_2.pth'


def test_a_folder_without_checkpoint_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='no checkpoint; train first'):
        best_checkpoint(tmp_path)


def test_training_and_test_get_the_same_options(tmp_path):
    (tmp_path / 'c.py').write_text(
        'train_dataloader = dict(dataset=dict(type="RepeatDataset", times=2, dataset=dict()))\n'
        'val_dataloader = test_dataloader = dict(dataset=dict())\n'
    )
    experiment = Experiment(
        config=tmp_path / 'c.py', data=tmp_path / 'set', work_dir=tmp_path, describe='simulated',
        name='run', test_file='val.json', seed=7, options=['model.neck=None'],
    )  # fmt: skip
    options = experiment.cfg_options()
    assert f'train_dataloader.dataset.dataset.data_root={tmp_path / "set"}' in options
    assert 'test_dataloader.dataset.ann_file=val.json' in options
    assert 'randomness.seed=7' in options
    assert options[-1] == 'model.neck=None'


def test_one_folder_cannot_stand_for_several_data_sets(tmp_path):
    (tmp_path / 'c.py').write_text('train_dataloader = dict(dataset=dict(datasets=[{}, {}]))')
    experiment = Experiment(tmp_path / 'c.py', tmp_path, tmp_path, 'simulated', 'run')
    with pytest.raises(ValueError, match=r'c\.py: .*combines 2 data sets \(.*datasets\.0, '):
        experiment.cfg_options()


def test_a_failing_tool_is_named_with_its_command(tmp_path):
    tool = tmp_path / 'broken.py'
    tool.write_text('import sys; sys.exit(3)')
    with pytest.raises(RuntimeError, match=r'exit status 3 from: python .*broken\.py --fast'):
        run_tool([str(tool), '--fast'])


def test_a_result_is_held_against_its_config(tmp_path):
    config = tmp_path / 'c.py'
    config.write_text("expected = dict(metrics={'all/MRE': dict(value=2.0, tolerance=0.1)})")
    for value, agrees in ((2.05, True), (2.2, False)):
        result = Result(
            name='r', config=str(config), data='simulated', seed=0, metrics={'all/MRE': value}
        )
        write_result(tmp_path / 'r.json', result)
        assert (check_result(tmp_path / 'r.json') == []) is agrees


CONFIG = """
train_dataloader = val_dataloader = test_dataloader = dict(dataset=dict())
expected = dict(seconds=dict(train=90))
"""


@pytest.fixture
def stages(tmp_path):
    """Run an experiment whose tools only say what they were asked; return their commands."""
    (tmp_path / 'c.py').write_text(CONFIG)

    def tool(command):
        commands.append(command)
        (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'epoch_1.pth'))
        (tmp_path / 'metrics.json').write_text('{"all/MRE": 2.0}')
        return 1.0

    def run(**settings):
        commands.clear()
        experiment = Experiment(
            tmp_path / 'c.py', tmp_path, tmp_path, 'simulated', 'run', **settings
        )
        run_experiment(experiment, tmp_path, tool)
        return {os.path.basename(command[0]): command for command in commands}

    commands = []
    return run


def test_only_a_training_that_was_interrupted_is_resumed(stages):
    # MMPose's script drops `load_from`, what a config starts from, when it is told to resume
    assert '--resume' not in stages()['train.py']
    assert '--resume' in stages()['train.py']


def test_the_estimate_of_a_calibration_can_be_left_out(stages):
    assert '--no-estimate' not in stages()['calibrate.py']
    assert '--no-estimate' in stages(estimate=False)['calibrate.py']


def test_each_stage_says_what_it_does_and_how_long_where_that_is_known(stages, capsys):
    stages()
    printed = capsys.readouterr().out
    assert '[2/4] train: trains; an interruption costs one epoch at most. About 90 s' in printed
    assert '[3/4] calibrate: ' in printed
    assert '[4/4] test: ' in printed
    assert printed.count('About') == 1
