"""Repair the host and register every adapter with MMPose.

``custom_imports = dict(imports=['unsct_mmpose.register'])`` in a config is all that MMPose needs;
a program imports this module before it imports MMPose.

Raises:
    ModuleNotFoundError: MMPose is not installed.
"""

import unsct_mmpose.host  # noqa: F401

from . import codecs, datasets, engine, evaluation, models, visualization

__all__ = ['codecs', 'datasets', 'engine', 'evaluation', 'models', 'visualization']
