"""Every tool explains itself."""

from pathlib import Path

import pytest

TOOLS = sorted((Path(__file__).resolve().parents[2] / 'tools').rglob('*.py'))


@pytest.mark.parametrize('tool', TOOLS, ids=lambda tool: tool.name)
def test_help_is_printed_from_any_folder_without_being_installed(tool, tmp_path, run_python):
    done = run_python(tool, '--help', cwd=tmp_path)
    assert done.stdout.startswith('usage:')
    assert not list(tmp_path.iterdir())
