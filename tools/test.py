"""Test a model with the installed MMPose's own `tools/test.py`; every option is that script's."""

import sys
from pathlib import Path

# A checkout works without being installed, and wins over an installed copy.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import unsct_mmpose.register  # noqa: F401  the host is repaired before its script is started

from unsct_mmpose.compat import run_host_tool
from unsct_mmpose.tool_words import errors_in_words

if __name__ == '__main__':
    with errors_in_words('test'):
        run_host_tool('test')
