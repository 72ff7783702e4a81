"""Data sets and transforms of MMPose."""

from .load_radiograph import LoadRadiograph
from .radiograph_affine import RadiographAffine
from .radiographic_noise import RadiographicNoise
from .random_cover import RandomCover
from .shipped_metainfo import find_shipped_metainfo
from .tha_dataset import THADataset

find_shipped_metainfo()

__all__ = ['LoadRadiograph', 'RadiographAffine', 'RadiographicNoise', 'RandomCover', 'THADataset']
