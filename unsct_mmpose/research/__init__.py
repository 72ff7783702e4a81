"""Experiments, studies and benchmarks of this repository, and the pages of their results."""

import unsct_mmpose.register  # noqa: F401
