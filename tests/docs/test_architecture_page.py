"""The page of the packages is the contract that import-linter checks, and the folders there are."""

import re
from pathlib import Path

import pytest

tomllib = pytest.importorskip('tomllib')  # Python 3.11
ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / 'docs/explanation/architecture.md').read_text()


def layers():
    settings = tomllib.loads((ROOT / 'pyproject.toml').read_text())
    contracts = settings['tool']['importlinter']['contracts']
    (found,) = [contract for contract in contracts if contract['type'] == 'layers']
    names = [set(re.split(r'\s*\|\s*', layer)) for layer in found['layers']]
    return names, set(found['exhaustive_ignores'])


def page_layers():
    rows = re.findall(r'^\| (`[^|]+) \|', PAGE.split('Beside them')[0], re.MULTILINE)
    return [set(re.findall(r'`(\w+)`', row)) for row in rows]


def test_the_page_lists_the_layers_of_the_contract_from_the_top_down():
    names, _ = layers()
    assert sorted(set().union(*page_layers())) == sorted(set().union(*names))
    height = {name: n for n, layer in enumerate(names) for name in layer}
    heights = [height[name] for row in page_layers() for name in row]
    assert heights == sorted(heights)


def test_every_package_and_module_at_the_top_is_listed():
    top = ROOT / 'unsct_mmpose'
    modules = {path.stem for path in top.glob('*.py')}
    packages = {path.parent.name for path in top.glob('*/__init__.py')}
    listed = set().union(*layers()[0], layers()[1])
    assert (modules | packages) - {'__init__'} == listed
    assert all(f'`{name}`' in PAGE for name in listed)


def test_every_path_that_the_page_names_is_there():
    paths = re.findall(r'`([\w/]+\.py)`', PAGE)
    paths = [path for path in paths if '/' in path]
    assert len(paths) > 30
    missing = [path for path in paths if not (ROOT / 'unsct_mmpose' / path).is_file()]
    assert not missing
