"""What things are: landmarks, relations and clinical parameters. Standard library only."""

from .landmark_set import HIP, LANDMARK_SETS, LandmarkSet, landmark_set
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
from .parameters import CLINICAL_PARAMETERS, ClinicalParameter, ReferenceRange, parameter
from .relations import RELATION_SETS, RelationSet, relation_set

__all__ = [
    'CLINICAL_PARAMETERS',
    'FLIP_INDICES',
    'HIP',
    'LANDMARK_CLASSES',
    'LANDMARK_NAMES',
    'LANDMARK_SETS',
    'NUM_CLASSES',
    'NUM_LANDMARKS',
    'RELATION_SETS',
    'SIDES',
    'ClinicalParameter',
    'LandmarkClass',
    'LandmarkSet',
    'ReferenceRange',
    'RelationSet',
    'index_of',
    'landmark_set',
    'parameter',
    'relation_set',
    'side_index',
]
