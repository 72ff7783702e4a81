"""`unsct study` of this checkout."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from unsct_mmpose.cli.main import launch

if __name__ == '__main__':
    sys.exit(launch('study'))
