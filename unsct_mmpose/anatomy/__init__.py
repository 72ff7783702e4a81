"""What things are: landmarks, relations and clinical parameters. Standard library only."""

from .landmark_set import HIP, LandmarkSet, landmark_set, landmarks_of
from .landmarks import (
    FLIP_INDICES,
    LANDMARK_CLASSES,
    LANDMARK_NAMES,
    NUM_CLASSES,
    NUM_LANDMARKS,
    SIDES,
    LandmarkClass,
    index_of,
    side_index,
)
from .parameters import MEASUREMENT_NAMES, ClinicalParameter, parameter, split_side
from .records import Estimate, LandmarkEstimate, Measurement, Region, Spacing
from .relations import RELATION_SETS, RelationSet, relation_set

__all__ = [
    'FLIP_INDICES',
    'HIP',
    'LANDMARK_CLASSES',
    'LANDMARK_NAMES',
    'MEASUREMENT_NAMES',
    'NUM_CLASSES',
    'NUM_LANDMARKS',
    'RELATION_SETS',
    'SIDES',
    'ClinicalParameter',
    'Estimate',
    'LandmarkClass',
    'LandmarkEstimate',
    'LandmarkSet',
    'Measurement',
    'Region',
    'RelationSet',
    'Spacing',
    'index_of',
    'landmark_set',
    'landmarks_of',
    'parameter',
    'relation_set',
    'side_index',
    'split_side',
]
