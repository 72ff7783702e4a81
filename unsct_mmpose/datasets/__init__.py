"""Data sets and transforms of MMPose."""

from .load_radiograph import LoadRadiograph
from .radiograph_affine import RadiographAffine
from .radiographic_noise import RadiographicNoise
from .random_cover import RandomCover
from .tha_dataset import THADataset

__all__ = ['LoadRadiograph', 'RadiographAffine', 'RadiographicNoise', 'RandomCover', 'THADataset']
