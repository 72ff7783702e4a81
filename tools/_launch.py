"""The checkout around this folder is used, installed or not, and wins over an installed copy."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from unsct_mmpose.cli.main import main


def launch(command: str) -> None:
    """Run a command with this process's arguments, and exit."""
    sys.exit(main([command, *sys.argv[1:]], prog=Path(sys.argv[0]).name))
