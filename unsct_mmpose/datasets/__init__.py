"""Data sets and transforms of MMPose."""

from .carry_landmarks import CarryLandmarks
from .load_radiograph import LoadRadiograph
from .radiograph_affine import RadiographAffine
from .radiographic_noise import RadiographicNoise
from .random_cover import RandomCover
from .shipped_metainfo import find_shipped_metainfo
from .tha_dataset import THADataset

find_shipped_metainfo()

__all__ = [
    'CarryLandmarks',
    'LoadRadiograph',
    'RadiographAffine',
    'RadiographicNoise',
    'RandomCover',
    'THADataset',
]
