"""Repair the host and register every adapter with MMPose.

``custom_imports = dict(imports=['unsct_mmpose.register'])`` in a config is all that MMPose needs;
a program imports this module before it imports MMPose.

Raises:
    ModuleNotFoundError: MMPose is not installed.
"""

from . import compat

compat.repair_host()

from . import codecs, datasets, engine, evaluation, models, visualization  # noqa: E402

__all__ = ['codecs', 'datasets', 'engine', 'evaluation', 'models', 'visualization']
