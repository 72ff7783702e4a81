"""Data sets and transforms of MMPose, and what reads DICOM in its own."""

from .load_radiograph import LoadRadiograph
from .radiograph_affine import RadiographAffine
from .radiographic_noise import RadiographicNoise
from .random_cover import RandomCover
from .stock_readers import read_dicom_everywhere
from .tha_dataset import THADataset

read_dicom_everywhere()

__all__ = [
    'LoadRadiograph',
    'RadiographAffine',
    'RadiographicNoise',
    'RandomCover',
    'THADataset',
    'read_dicom_everywhere',
]
