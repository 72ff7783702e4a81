"""UNSCT-HRNet for MMPose: hip landmarks that know what an image does not show.

Importing the package repairs the host (see :mod:`unsct_mmpose.compat`) and registers every
adapter: ``custom_imports = dict(imports=['unsct_mmpose'])`` in a config is all that MMPose needs.
Where MMPose is not installed, or with ``UNSCT_PURE=1`` in the environment, nothing is registered
and only the pure rooms (the first five) can be used: quick to import, without OpenMMLab.

The rooms, each named by the question that it answers or by the MMPose kind that it serves:

- ``anatomy``: what things are; landmarks, relations, clinical parameters
- ``functional``: the mathematics; heatmaps, fields, losses, errors
- ``nn``: torch modules; coordinates, polarized attention, spatial relationship fusion
- ``imaging``: files in, arrays with units out; DICOM, annotations, noise
- ``phantom``: simulated radiographs with known landmarks
- ``codecs``, ``models``, ``datasets``, ``engine``, ``evaluation``, ``visualization``: adapters
- ``apis``: what the tools call
"""

import importlib.util
import os

__version__ = '0.1.0'


def _register_adapters() -> None:
    from . import compat

    compat.repair_host()
    from . import codecs, datasets, engine, evaluation, models, visualization  # noqa: F401


if importlib.util.find_spec('mmpose') is not None and os.environ.get('UNSCT_PURE') != '1':
    _register_adapters()
