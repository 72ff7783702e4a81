"""MMPose's own scripts on DICOM files of ours, each in this process: starting one costs seconds."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from unsct_mmpose import compat


@pytest.fixture
def tool(trained, monkeypatch, capsys):
    """Run a script beside ``config.py``, ``model.pth`` and the images; return what it prints."""
    config, _ = trained
    monkeypatch.chdir(config.parent)
    monkeypatch.setenv('LOCAL_RANK', '0')

    def run(name, *arguments):
        monkeypatch.setattr(sys, 'argv', [name, *map(str, arguments)])
        compat.run_host_tool(name)
        printed = capsys.readouterr()
        return printed.out + printed.err

    return run


@pytest.fixture
def twins(trained):
    """Options that test two images with one name in two folders, two others otherwise."""
    folder = trained[0].parent
    content = json.loads((folder / 'val.json').read_text())
    for image, name in zip(content['images'], 'ab', strict=True):
        path = folder / name / 'hip.dcm'
        path.parent.mkdir()
        shutil.copy(folder / 'images' / Path(image['file_name']).name, path)
        image['file_name'] = f'{name}/hip.dcm'
    (folder / 'val.json').write_text(json.dumps(content))
    where = 'test_dataloader.dataset'
    return (
        '--cfg-options', f'{where}.data_root={folder}', f'{where}.ann_file=val.json',
        f'{where}.data_prefix.img=./', 'test_dataloader.num_workers=0',
    )  # fmt: skip


def names(folder):
    return sorted(path.name for path in Path(folder).iterdir())


def test_test_draws_every_image_and_every_bad_case(tool, twins):
    tool('test', 'config.py', 'model.pth', '--work-dir', 'run', '--show-dir', 'drawn', '--badcase',
         '--out', 'metrics.json', '--dump', 'found.pkl', *twins,
         'default_hooks.badcase.badcase_thr=0')  # fmt: skip
    (run,) = [path.parent for path in Path('run').glob('*/drawn')]
    assert names(run / 'drawn') == ['b_hip.png', 'hip.png']
    assert names(run / 'badcase') == ['b_hip.png', 'hip.png', 'results.json']
    worst = [one['all/E_20'] for one in json.loads((run / 'badcase/results.json').read_text())]
    assert worst == sorted(worst, reverse=True) and len(worst) == 2
    assert json.loads(Path('metrics.json').read_text())['all/images'] == 2


def test_amp_trains_in_bfloat16_and_show_dir_is_where_it_says(tool, trained):
    folder = trained[0].parent
    printed = tool(
        'train', 'config.py', '--work-dir', 'run', '--amp', '--auto-scale-lr',
        '--show-dir', 'drawn',
        '--cfg-options', f'train_dataloader.dataset.data_root={folder}',
        'train_dataloader.dataset.data_prefix.img=./',
        'train_dataloader.dataset.disjoint_from=[val.json]', 'train_dataloader.num_workers=0',
        'train_dataloader.persistent_workers=False', 'val_dataloader.num_workers=0',
        'val_dataloader.persistent_workers=False', 'train_cfg.max_epochs=1',
        'train_cfg.val_interval=1', 'default_hooks.checkpoint.interval=1',
        'val_dataloader.dataset.data_prefix.img=images/',
    )  # fmt: skip
    assert 'bfloat16 (Bf16OptimWrapper) needs no loss_scale' in printed
    assert Path('run/epoch_1.pth').is_file()
    assert list(Path('run').glob('*/drawn/val_img_*.png'))


@pytest.mark.parametrize('mode', ['original', 'transformed'])
def test_browse_dataset_shows_dicom_of_one_name_in_two_folders(tool, twins, mode):
    tool('browse_dataset', 'config.py', '--output-dir', 'shown', '--not-show', '--mode', mode,
         '--phase', 'test', *twins)  # fmt: skip
    assert names('shown') == ['hip.dcm(1).png', 'hip.dcm.png']


@pytest.mark.parametrize('options', [[], ['--batch-size', '2', '--show-arch-info']])
def test_get_flops_counts(tool, options, monkeypatch):
    from mmengine import analysis
    from mmengine.analysis import print_helper

    for module, name in (
        (analysis, 'get_model_complexity_info'),
        (print_helper, '_model_stats_str'),
    ):
        monkeypatch.setattr(module, name, getattr(module, name))  # put back afterwards
    printed = tool('get_flops', 'config.py', '--input-shape', '64', '64', *options)
    assert f'Input shape: ({options[1] if options else 1}, 3, 64, 64)' in printed
    assert ('(backbone): HRNet' in printed) == bool(options)


def test_the_demos_draw_and_write_dicom(tool):
    image = 'images/val-0.dcm'
    tool('image_demo', image, 'config.py', 'model.pth', '--device', 'cpu', '--out-file', 'a.png',
         '--draw-heatmap', '--skeleton-style', 'openpose', '--show-kpt-idx')  # fmt: skip
    assert Path('a.png').stat().st_size
    for place in (image, 'images'):
        tool('inferencer_demo', place, '--pose2d', 'config.py', '--pose2d-weights', 'model.pth',
             '--vis-out-dir', 'out', '--pred-out-dir', 'out', '--device', 'cpu')  # fmt: skip
    stems = ('train-0', 'train-1', 'train-2', 'val-0', 'val-1')
    assert names('out') == [f'{one}.{kind}' for one in stems for kind in ('json', 'png')]


def test_publish_model_and_print_config(tool):
    tool('publish_model', 'model.pth', 'small.pth')
    assert 'max_epochs=7' in tool(
        'print_config', 'config.py', '--options', 'train_cfg.max_epochs=7'
    )


def test_a_package_that_is_missing_is_named_with_the_extra(tool, monkeypatch):
    monkeypatch.setitem(sys.modules, 'seaborn', None)
    with pytest.raises(SystemExit, match=r"needs seaborn.*pip install 'unsct-mmpose\[tools\]'"):
        tool('analyze_logs', 'plot_curve', 'a.json')


def test_a_script_for_another_mmpose_says_so(tool):
    with pytest.raises(SystemExit, match='cannot be run with this MMPose'):
        tool('keypoints2coco_without_mmdet', '--help')


def test_a_name_that_is_none_gets_the_nearest_one(tool):
    with pytest.raises(SystemExit, match='Did you mean browse_dataset'):
        tool('brows_dataset')


def test_the_command_lists_runs_and_needs_a_name(unsct, tmp_path):
    listed = unsct('mmpose-tool', '--list', cwd=tmp_path).stdout.split()
    assert {'train', 'browse_dataset', 'inferencer_demo', 'labelstudio2coco'} <= set(listed)
    done = unsct('mmpose-tool', cwd=tmp_path)
    assert done.returncode == 2 and '--list' in done.stderr
    done = unsct('mmpose-tool', 'print_config', '--help', cwd=tmp_path)
    assert 'Print the whole config' in done.stdout
