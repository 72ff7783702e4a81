"""UNSCT-HRNet for MMPose: hip landmarks that know what an image does not show.

Importing the package needs neither OpenMMLab nor torch. :mod:`unsct_mmpose.register` repairs the
host and registers every adapter: ``custom_imports = dict(imports=['unsct_mmpose.register'])`` in a
config is all that MMPose needs. Configs that name ``unsct_mmpose`` alone work too: where MMEngine
is loaded already, importing the package registers.

The packages, each importing those below it only:

- ``cli``: the commands of ``unsct``
- ``research``: experiments, studies, benchmarks and the pages of their results
- ``serve``: a small web server
- ``export``: ONNX graphs, quantization, small checkpoints
- ``inference``: from files to predictions, with PyTorch or ONNX
- ``calibrate``: the table of evidence, the fit, and where it is stored
- ``report``: predictions as records, and their writers
- ``codecs``, ``models``, ``datasets``, ``engine``, ``evaluation``, ``visualization``: adapters
- ``phantom``: simulated radiographs with known landmarks; shifts, occluders, noise
- ``annotations``: landmark files, their checks, splits and conversion
- ``drawing``: pictures and figures, ``dicom``: radiographs in files, ``maps``: heatmaps, fields,
  losses and uncertainty in torch, ``nn``: torch modules
- ``functional``: the mathematics in numpy and scipy
- ``anatomy``: landmarks, relations, clinical parameters
"""

import importlib
import importlib.util
import sys

__version__ = '0.1.0'

if 'mmengine' in sys.modules and importlib.util.find_spec('mmpose') is not None:
    importlib.import_module(f'{__name__}.register')
