"""Persons and scenes that several test files share; coarse voxels, because they are quick."""

import numpy as np
import pytest

from unsct_mmpose.phantom.dimensions import sample_dimensions
from unsct_mmpose.phantom.pose import Pose
from unsct_mmpose.phantom.projection import ConeBeam
from unsct_mmpose.phantom.scene import build_scene

COARSE = (1.5, 1.5, 2.0)


@pytest.fixture(scope='session')
def person():
    return sample_dimensions(np.random.default_rng(11))


@pytest.fixture(scope='session')
def far_beam():
    """A nearly parallel beam with 1 mm pixels: pixels are millimetres at the bone."""
    return ConeBeam(1e6, 1e6, (0.0, 0.0), (440, 440), (1.0, 1.0), (219.5, 219.5))


@pytest.fixture(scope='session')
def neutral_scene(person):
    return build_scene(person, Pose(), voxel_mm=COARSE)


@pytest.fixture
def coarse():
    return COARSE
