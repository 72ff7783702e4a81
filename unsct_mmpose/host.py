"""Importing this repairs the host, before anything of OpenMMLab is imported."""

from . import compat

compat.repair_host()
