"""What stops a newcomer is said in words that name the cure, by every way that leads there."""

import re
import sys
from pathlib import Path

import mmpose
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from mmpose.apis import MMPoseInferencer, init_model

from unsct_mmpose.cli.errors import EXTRAS, check_cfg_options, explain, explain_errors
from unsct_mmpose.cli.main import main

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / 'configs' / 'unsct_hrnet_tha.py'
DEMO = ROOT / 'configs' / 'demo'
NO_DATA = r'there is no such file.*unsct phantom --out data/phantom.*UNSCT_DATA=DIR.*data_root=DIR'


@pytest.fixture
def tool(tmp_path, monkeypatch, capsys):
    """Run a command from an empty folder; return what it prints on its way out."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv('UNSCT_DATA', raising=False)

    def run(name, *arguments):
        monkeypatch.setattr('sys.argv', sys.argv)  # put back afterwards
        with pytest.raises(SystemExit) as left:
            main([name, *map(str, arguments)])
        assert left.value.code == 1
        return capsys.readouterr().err

    return run


@pytest.fixture
def stock_tools():
    return Path(mmpose.__file__).parent / '.mim' / 'tools'


def ends_in_words(printed):
    return 'Traceback' not in printed and 'shows where' in printed.splitlines()[-1]


SMALL = [
    'train_dataloader.num_workers=0', 'train_dataloader.persistent_workers=False',
    'model.backbone.extra.stage4.num_modules=1', 'model.backbone.extra.stage3.num_modules=1',
]  # fmt: skip


def test_without_data_train_says_how_to_make_some(tool):
    printed = tool('train', CONFIG, '--cfg-options', *SMALL)
    assert re.search(rf'train: data/phantom/train\.json: {NO_DATA}', printed)
    assert ends_in_words(printed)


def test_without_data_the_stock_script_says_it_too(stock_tools, run_python, tmp_path):
    done = run_python(
        stock_tools / 'train.py', DEMO / 'unsct_hrnet_tha_cpu.py', '--cfg-options', *SMALL[:2],
        cwd=tmp_path, path=[ROOT], check=False,
    )  # fmt: skip
    assert re.search(rf'train\.json: {NO_DATA}', done.stderr.splitlines()[-1])


@pytest.mark.parametrize('name', ['train', 'test', 'calibrate'])
def test_a_config_that_is_not_there_is_named(name, tool):
    given = ['nowhere.py'] if name == 'train' else ['nowhere.py', 'x.pth']
    printed = tool(name, *given)
    assert 'there is no config' in printed and 'nowhere.py' in printed
    assert 'configs/README.md' in printed
    assert ends_in_words(printed)


@pytest.mark.parametrize('name', ['train', 'calibrate'])
def test_options_that_are_no_pairs_are_quoted(name, tool):
    given = [CONFIG] if name == 'train' else [CONFIG, 'x.pth']
    printed = tool(name, *given, '--cfg-options', 'a.b=1', 'max_epochs')
    assert "takes KEY=VALUE pairs, not 'max_epochs'; such as train_cfg.max_epochs=5" in printed
    assert ends_in_words(printed)


@pytest.mark.parametrize(
    ('given', 'words'),
    [
        (['--cfg-options', 'epochs'], "not 'epochs'"),
        (['--cfg-options', 'a=1', '=3'], "not '=3'"),
        (['--cfg-options', 'a..b=3'], r"not 'a\.\.b=3'"),
        (['--cfg-options=epochs'], "not 'epochs'"),
        (['--cfg-options', 'size=(64,64'], 'brackets do not match'),
    ],
)
def test_what_is_no_option_is_quoted(given, words):
    with pytest.raises(ValueError, match=words):
        check_cfg_options(['config.py', *given])


def test_options_that_mmengine_takes_pass():
    check_cfg_options(['c.py', '--cfg-options', 'a.b=1', 'c=[(1,2),(3,4)]', 'd=x=y', '--amp', 'z'])
    check_cfg_options(['c.py', '--cfg-options=a=1', '--resume', 'file.pth'])


@pytest.mark.parametrize('option', [{'a.7': 1}, {'b.c.d': 1}])
def test_options_that_do_not_fit_the_config_are_said(option, capsys):
    with pytest.raises(SystemExit), explain_errors('train', []):
        Config(dict(a=[1, 2], b=dict(c=dict(_delete_=True)))).merge_from_dict(
            option if 'a.7' in option else {'a': {'x': 1}}
        )
    assert 'do not fit the config' in capsys.readouterr().err


def test_every_optional_package_is_in_the_extra_that_is_named():
    text = (ROOT / 'setup.py').read_text()
    for package, extra in EXTRAS.items():
        line = re.search(rf"'{extra}': \[(.*?)\]", text, re.DOTALL)
        assert package in line[1], (package, extra)


@pytest.mark.parametrize(
    ('error', 'extra'),
    [
        (RuntimeError('albumentations is not installed'), 'augment'),
        (ImportError('Please run "pip install wandb" to install wandb'), 'track'),
        (ImportError('Please run "pip install future tensorboard" to install'), 'track'),
        (ModuleNotFoundError("No module named 'onnxruntime'"), 'onnx'),
    ],
)
def test_a_missing_package_names_its_extra(error, extra, capsys):
    with pytest.raises(SystemExit), explain_errors('train', []):
        raise error
    assert f"pip install 'unsct-mmpose[{extra}]'" in capsys.readouterr().err


def test_an_interruption_says_whether_the_same_command_continues(capfd):
    with pytest.raises(SystemExit) as left, explain_errors('phantom', [], resumable=True):
        raise KeyboardInterrupt
    assert left.value.code == 130
    assert capfd.readouterr().err == 'phantom: interrupted; the same command continues\n'


def test_an_interruption_amid_an_import_is_one(capfd):
    with pytest.raises(SystemExit) as left, explain_errors('predict', [], (ImportError,), 2, True):
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as stop:
            raise ImportError('initialization failed') from stop  # as pybind11 does
    assert left.value.code == 130
    assert capfd.readouterr().err == 'predict: interrupted; the same command continues\n'


def test_an_error_that_the_command_expects_is_said_wherever_it_comes_from(capsys):
    with pytest.raises(SystemExit) as left, explain_errors('predict', [], (OSError,), status=2):
        raise OSError('of somebody else')
    assert left.value.code == 2
    assert capsys.readouterr().err.startswith('predict: of somebody else\n')


def test_the_traceback_is_there_for_who_asks(tool, monkeypatch):
    monkeypatch.setenv('UNSCT_TRACEBACK', '1')
    with pytest.raises(FileNotFoundError), explain_errors('train', []):
        Config.fromfile('nowhere.py')


def test_an_error_of_the_program_itself_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError), explain_errors('train', []):
        print(1 / 0)
    with pytest.raises(ValueError, match='of somebody else'), explain_errors('train', []):
        raise ValueError('of somebody else')


def test_a_checkpoint_of_another_network_is_refused_by_inference(tmp_path):
    checkpoint = str(DEMO / 'unsct_hrnet_tha_cpu.pth')
    inferencer = MMPoseInferencer(
        pose2d=str(CONFIG), pose2d_weights=checkpoint, det_model='whole_image', device='cpu'
    )
    with pytest.raises(
        ValueError, match=r'does not fit the config: .*lacks.*of another shape'
    ) as e:
        next(inferencer(torch.zeros(64, 64, 3, dtype=torch.uint8).numpy()))
    assert 'Take the config that the checkpoint was trained with' in explain(e.value)


def test_a_checkpoint_that_fits_is_silent_and_another_one_still_starts_a_training(tiny_config):
    weights = str(DEMO / 'unsct_hrnet_tha_cpu.pth')
    own = init_model(DEMO / 'unsct_hrnet_tha_cpu.py', weights, 'cpu')
    assert own.head.misfit is None
    runner = Runner.from_cfg(dict(tiny_config, load_from=weights))
    runner.train()
    assert runner.model.head.misfit is None
    assert runner.val()['all/images'] == 2
