"""``python -m unsct_mmpose`` is ``unsct``."""

import sys

from .cli.main import main

sys.exit(main())
