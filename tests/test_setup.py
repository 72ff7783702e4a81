"""What is installed, and what it brings with it."""

import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
HOST = {'torch', 'torchvision', 'mmcv', 'mmcv-lite', 'mmengine', 'mmpose', 'mmdet', 'opencv-python'}


def distribution(requirement: str) -> str:
    return re.split(r'[<>=!~;\[ ]', requirement, maxsplit=1)[0].lower().replace('_', '-')


def requirements(name: str) -> list[str]:
    lines = (ROOT / 'requirements' / name).read_text().splitlines()
    return [line for line in lines if line and not line.startswith(('#', '-r'))]


@pytest.fixture(scope='module')
def wheel(tmp_path_factory, run_python) -> Path:
    """The wheel, built from a copy so that the checkout stays clean."""
    place = tmp_path_factory.mktemp('wheel')
    source = place / 'source'
    source.mkdir()
    for name in ('setup.py', 'pyproject.toml', 'MANIFEST.in', 'LICENSE', 'model-index.yml'):
        shutil.copy(ROOT / name, source)
    for name in ('unsct_mmpose', 'configs', 'tools'):
        ignore = shutil.ignore_patterns('__pycache__')
        shutil.copytree(ROOT / name, source / name, ignore=ignore)
    quietly = ('-m', 'pip', 'wheel', '--quiet', '--no-deps', '--no-build-isolation')
    run_python(*quietly, '--wheel-dir', place, source, cwd=place)
    (built,) = place.glob('*.whl')
    return built


def test_the_wheel_ships_every_config_and_tool_where_openmmlab_looks_for_them(wheel):
    shipped = set(zipfile.ZipFile(wheel).namelist())
    for folder in ('configs', 'tools'):
        for path in (ROOT / folder).rglob('*.py'):
            assert f'unsct_mmpose/.mim/{path.relative_to(ROOT).as_posix()}' in shipped
    for path in (ROOT / 'unsct_mmpose').rglob('*.py'):
        is_research = 'research' in path.relative_to(ROOT).parts
        assert (path.relative_to(ROOT).as_posix() in shipped) != is_research
    index = yaml.safe_load((ROOT / 'model-index.yml').read_text())
    for name in ('model-index.yml', *index['Import']):
        assert f'unsct_mmpose/.mim/{name}' in shipped
    for pattern in ('*/schema/*', '*/templates/*'):
        for path in (ROOT / 'unsct_mmpose').glob(pattern):
            assert path.relative_to(ROOT).as_posix() in shipped
    assert {name.split('/')[0].split('-')[0] for name in shipped} == {'unsct_mmpose'}


def test_the_wheel_finds_its_models_and_weights_by_name(wheel, tmp_path, run_python):
    site = tmp_path / 'site'
    zipfile.ZipFile(wheel).extractall(site)
    script = (
        'from unsct_mmpose.engine import find_model\n'
        "found = find_model('unsct-hrnet-tha')\n"
        'print(found.checked_weights(), found.config, found.config.is_file())'
    )
    done = run_python('-c', script, cwd=tmp_path, path=[site])
    weights, config, there = done.stdout.split()[-3:]
    assert weights.startswith(str(site)) and config.startswith(str(site)) and there == 'True'


def test_the_wheel_brings_the_command_which_leaves_research_to_a_checkout(
    wheel, tmp_path, run_python
):
    archive = zipfile.ZipFile(wheel)
    (name,) = [n for n in archive.namelist() if n.endswith('/entry_points.txt')]
    assert 'unsct = unsct_mmpose.cli.main:main' in archive.read(name).decode()
    site = tmp_path / 'site'
    archive.extractall(site)
    words = ('-m', 'unsct_mmpose', 'results', 'page')
    done = run_python(*words, cwd=tmp_path, path=[site], check=False)
    assert done.returncode == 1 and 'run it in a checkout' in done.stderr
    launcher = site / 'unsct_mmpose/.mim/tools/measure.py'
    assert 'landmarks' in run_python(launcher, '--help', cwd=tmp_path, path=[site]).stdout


def test_a_source_archive_carries_the_index(tmp_path):
    manifest = (ROOT / 'MANIFEST.in').read_text()
    assert 'model-index.yml' in manifest
    (configs,) = [
        line for line in manifest.splitlines() if line.startswith('recursive-include configs')
    ]
    suffixes = {path.suffix for path in (ROOT / 'configs').rglob('*') if path.is_file()} - {
        '.md',
        '.pyc',
    }
    assert suffixes <= {pattern.lstrip('*') for pattern in configs.split()[2:]}


def test_the_wheel_asks_for_nothing_that_a_host_has_its_own_of(wheel):
    archive = zipfile.ZipFile(wheel)
    (name,) = [n for n in archive.namelist() if n.endswith('.dist-info/METADATA')]
    lines = archive.read(name).decode().splitlines()
    needed = [line.split(': ', 1)[1] for line in lines if line.startswith('Requires-Dist')]
    always = {distribution(line) for line in needed if 'extra ==' not in line}
    assert not always & HOST
    assert always <= {
        distribution(requirement)
        for name in ('host', 'base')
        for requirement in requirements(f'{name}.txt')
    }
    extras = {line.split(': ')[1] for line in lines if line.startswith('Provides-Extra')}
    assert extras == {
        'dicom', 'report', 'serve', 'onnx', 'openvino', 'safetensors', 'tools', 'augment', 'track',
        'dev',
    }  # fmt: skip


@pytest.mark.slow
def test_the_wheel_alone_is_enough_for_mmposes_own_train_script(wheel, stock_run, run_python):
    site = stock_run / 'site'
    zipfile.ZipFile(wheel).extractall(site)
    config = (stock_run / 'stock.py').read_text()
    proof = f"assert __import__('unsct_mmpose').__file__.startswith({str(site)!r})\n"
    (stock_run / 'stock.py').write_text(config + proof)
    find = 'import importlib.util as u; print(u.find_spec("mmpose").submodule_search_locations[0])'
    mmpose = Path(run_python('-c', find).stdout.strip())
    run_python(mmpose / '.mim/tools/train.py', 'stock.py', cwd=stock_run, path=[site])
    assert list((stock_run / 'work_dirs/stock').glob('epoch_1.pth'))


@pytest.mark.parametrize(
    'path', sorted((ROOT / 'requirements').glob('*.txt')), ids=lambda p: p.name
)
def test_every_requirement_is_pinned(path):
    for line in requirements(path.name):
        assert re.fullmatch(r'[\w.-]+==[\w.+]+(; python_version (<|>=) "3\.11")?', line), line


def test_make_help_names_every_target():
    printed = subprocess.run(['make', 'help'], cwd=ROOT, capture_output=True, text=True, check=True)
    makefile = (ROOT / 'Makefile').read_text()
    targets = re.search(r'^\.PHONY: (.+)$', makefile, re.MULTILINE).group(1).split()
    for target in set(targets) - {'help'}:
        assert f'make {target} ' in printed.stdout
