"""Calibration of a trained model: the table of evidence, the fit, and where it is stored."""

import unsct_mmpose.register  # noqa: F401
