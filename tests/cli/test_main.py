"""One entry for every command: found, explained, quick to start, and completed in three shells."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from unsct_mmpose.cli import options
from unsct_mmpose.cli.main import CHECKOUT_ONLY, COMMANDS, build_parser, main, overview

ROOT = Path(__file__).resolve().parents[2]
TOOLS = [tool for tool in sorted((ROOT / 'tools').rglob('*.py')) if tool.stem != '_launch']
OWN = [name for name in COMMANDS if name not in ('train', 'test')]


def test_the_overview_fits_a_screen_and_names_every_command(capsys):
    assert main(['--help']) == 0
    printed = capsys.readouterr().out
    assert printed.count('\n') <= 24 and max(map(len, printed.splitlines())) <= 80
    assert all(re.search(rf'^  .*\b{name}\b', printed, re.MULTILINE) for name in COMMANDS)
    assert main([]) == 2 and capsys.readouterr().out == printed
    assert overview() == printed.rstrip()


def test_an_unknown_command_is_refused_with_those_that_there_are(capsys):
    with pytest.raises(SystemExit) as left:
        main(['predit', 'x'])
    assert left.value.code == 2
    assert "'predit'" in (error := capsys.readouterr().err) and 'predict' in error


@pytest.mark.parametrize('name', OWN)
def test_every_command_explains_itself_and_each_of_its_options(name, capsys):
    with pytest.raises(SystemExit) as left:
        main([name, '--help'])
    assert left.value.code == 0
    assert capsys.readouterr().out.startswith(f'usage: unsct {name} ')
    (actions,) = build_parser(name)._subparsers._group_actions
    assert all(action.help for action in actions.choices[name]._actions if action.dest != 'action')


def test_help_imports_nothing_that_takes_time(run_python):
    code = (
        'import sys; from unsct_mmpose.cli.main import main\n'
        'try: main(sys.argv[1:])\n'
        'except SystemExit: pass\n'
        "print('heavy:', {n.split('.')[0] for n in sys.modules} "
        "& {'torch', 'numpy', 'cv2', 'mmengine', 'mmpose', 'pydicom', 'scipy', 'shtab'})"
    )
    for words in (['--help'], ['predict', '--help'], ['calibrate', '--help'], ['paper', '--help']):
        printed = run_python('-c', code, *words).stdout
        assert printed.startswith('usage: unsct') and 'heavy: set()' in printed


@pytest.mark.parametrize('tool', TOOLS, ids=lambda tool: tool.name)
def test_a_launcher_explains_itself_in_any_folder(tool, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, 'argv', [str(tool), '--help'])
    monkeypatch.setattr(sys, 'path', [str(tool.parent), *sys.path])
    for name in ('_launch', 'scn_landmarker'):
        monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(SystemExit) as left:
        runpy.run_path(str(tool), run_name='__main__')
    assert not left.value.code
    assert capsys.readouterr().out.startswith(f'usage: {tool.name} ')
    assert not list(tmp_path.iterdir())


def test_launchers_work_without_being_installed(tmp_path, run_python):
    """They differ in the command alone: see below."""
    done = run_python(ROOT / 'tools/measure.py', '--help', cwd=tmp_path)
    assert done.stdout.startswith('usage: measure.py ')


def test_a_launcher_holds_nothing_and_every_command_has_one():
    launchers = [tool.read_text() for tool in TOOLS if tool.parent.name == 'tools']
    assert all(len(text.splitlines()) <= 6 for text in launchers)
    launched = {re.search(r"launch\('(.+)'\)", text)[1] for text in launchers}
    assert launched == set(COMMANDS) - {'completion'}


def test_the_package_runs_as_a_module(run_python):
    assert run_python('-m', 'unsct_mmpose', '--help').stdout.rstrip() == overview()
    done = run_python('-m', 'unsct_mmpose', 'predict', 'a.onnx', check=False)
    assert done.returncode == 2 and 'no INPUT' in done.stderr


@pytest.mark.parametrize('name', CHECKOUT_ONLY)
def test_without_a_checkout_research_says_that_it_needs_one(name, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(options, 'ROOT', tmp_path)
    needed = {
        'run': ['c.py', '--data', 'd', '--describe', 'x'],
        'paper': ['collect'],
        'study': ['collect', 'c.py', 'c.pth', '--data', 'd', '--ann-file', 'a', '--out', 'o'],
        'benchmark': ['onnx-page', 'x'],
        'results': ['page'],
    }
    with pytest.raises(SystemExit) as left:
        main([name, *needed.get(name, [])])
    assert left.value.code == 1
    assert f'{name} belongs to the research' in capsys.readouterr().err


@pytest.mark.parametrize('shell', ['bash', 'zsh', 'fish'])
def test_completion_knows_every_command_and_its_options(shell, capsys, tmp_path):
    assert main(['completion', shell]) == 0
    script = capsys.readouterr().out
    assert all(name in script for name in COMMANDS)
    assert all(option in script for option in ('keep-identity', 'ann-file', 'contact-sheet'))
    if shell == 'bash':
        (tmp_path / 'unsct.sh').write_text(script)
        ask = (
            'source unsct.sh; COMP_WORDS=(unsct {}); COMP_CWORD={}; '
            'F=$(complete -p unsct | sed "s/.*-F \\([^ ]*\\).*/\\1/"); $F; echo ${{COMPREPLY[@]}}'
        )
        for words, count, expected in (('ca', 1, 'calibrate'), ('predict --keep', 2, '--keep-')):
            command = ['bash', '-c', ask.format(words, count)]
            done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
            assert expected in done.stdout, (done.stdout, done.stderr)
