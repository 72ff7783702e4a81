"""Data sets and transforms of MMPose, and what reads DICOM in its own."""

import unsct_mmpose.host  # noqa: F401

from .carry_landmarks import CarryLandmarks
from .load_radiograph import LoadRadiograph
from .radiograph_affine import RadiographAffine
from .radiographic_noise import RadiographicNoise
from .random_cover import RandomCover
from .shipped_metainfo import find_shipped_metainfo
from .stock_readers import read_dicom_everywhere
from .tha_dataset import THADataset

find_shipped_metainfo()
read_dicom_everywhere()

__all__ = [
    'CarryLandmarks',
    'LoadRadiograph',
    'RadiographAffine',
    'RadiographicNoise',
    'RandomCover',
    'THADataset',
    'read_dicom_everywhere',
]
