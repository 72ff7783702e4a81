"""The 24 landmarks of the paper's Table 1: names, order and left-right pairs.

Order of keypoints in every file and tensor: all left 1..12, then all right 1..12. *Left* is the
patient's left, which is on the right of the image in a standard AP view.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LandmarkClass:
    """One of the twelve anatomical points that exist once on each side.

    Attributes:
        number: its index in Table 1 of the paper, 1 to 12.
        name: snake-case name, without the side.
        description: the wording of Table 1.
        bone: ``'pelvis'`` or ``'femur'``.
    """

    number: int
    name: str
    description: str
    bone: str


SIDES: tuple[str, str] = ('left', 'right')

LANDMARK_CLASSES: tuple[LandmarkClass, ...] = (
    LandmarkClass(1, 'innermost_ilium', 'Innermost point of the ilium', 'pelvis'),
    LandmarkClass(2, 'y_cartilage_center', 'Center of the Y-shaped cartilage', 'pelvis'),
    LandmarkClass(3, 'acetabulum_upper_edge', 'Upper edge of the acetabular surface', 'pelvis'),
    LandmarkClass(4, 'acetabulum_lower_edge', 'Lower edge of the acetabular surface', 'pelvis'),
    LandmarkClass(5, 'fovea', 'Fovea of the ligamentum teres', 'femur'),
    LandmarkClass(6, 'femoral_head_center', 'Center of the femoral head', 'femur'),
    LandmarkClass(7, 'greater_trochanter_tip', 'Tip of the greater trochanter', 'femur'),
    LandmarkClass(8, 'teardrop_lower_edge', 'Lower edge of the teardrop', 'pelvis'),
    LandmarkClass(9, 'ischium_bottom', 'Bottom of the ischium', 'pelvis'),
    LandmarkClass(
        10, 'femoral_neck_distal_midpoint', 'Distal midpoint of the femoral neck', 'femur'
    ),
    LandmarkClass(
        11, 'femoral_shaft_proximal_midpoint', 'Proximal midpoint of the femoral shaft', 'femur'
    ),
    LandmarkClass(
        12, 'femoral_shaft_distal_midpoint', 'Distal midpoint of the femoral shaft', 'femur'
    ),
)

# fmt: off
(
    ILIUM, Y_CARTILAGE, UPPER_EDGE, LOWER_EDGE, FOVEA, HEAD, TROCHANTER, TEARDROP, ISCHIUM, NECK,
    SHAFT_TOP, SHAFT_END,
) = (landmark.number for landmark in LANDMARK_CLASSES)
# fmt: on

NUM_CLASSES: int = len(LANDMARK_CLASSES)

LANDMARK_NAMES: tuple[str, ...] = tuple(
    f'{side}_{landmark.name}' for side in SIDES for landmark in LANDMARK_CLASSES
)

NUM_LANDMARKS: int = len(LANDMARK_NAMES)

FLIP_INDICES: tuple[int, ...] = tuple(
    (index + NUM_CLASSES) % NUM_LANDMARKS for index in range(NUM_LANDMARKS)
)
"""``FLIP_INDICES[k]`` is the landmark that ``k`` becomes when the image is mirrored."""

_INDEX_BY_NAME = {name: index for index, name in enumerate(LANDMARK_NAMES)}


def index_of(name: str) -> int:
    """Return the position of a landmark in every keypoint array.

    Args:
        name: full name with its side.

    Raises:
        KeyError: no landmark has this name; the message lists the valid names.

    Example:
        >>> index_of('left_innermost_ilium'), index_of('right_fovea')
        (0, 16)
    """
    try:
        return _INDEX_BY_NAME[name]
    except KeyError:
        names = ', '.join(LANDMARK_NAMES)
        raise KeyError(f'unknown landmark {name!r}; the 24 names are: {names}') from None


def side_index(side: str, number: int) -> int:
    """Return the position of the landmark that Table 1 gives ``number``, on one side.

    Args:
        side: ``'left'`` or ``'right'`` of the patient.
        number: 1 to 12.

    Raises:
        ValueError: the side or the number does not exist.

    Example:
        >>> LANDMARK_NAMES[side_index('right', 6)]
        'right_femoral_head_center'
    """
    if side not in SIDES:
        raise ValueError(f"side must be 'left' or 'right', not {side!r}")
    if not 1 <= number <= NUM_CLASSES:
        raise ValueError(f'landmark numbers run from 1 to {NUM_CLASSES}, not {number!r}')
    return SIDES.index(side) * NUM_CLASSES + number - 1


def plain_name(name: str) -> str:
    """Return a name or a sentence of names without underscores and units.

    Example:
        >>> plain_name('left_center_edge_angle_deg'), plain_name('right_fovea is absent')
        ('left center edge angle', 'right fovea is absent')
    """
    words = name.removesuffix('_deg').removesuffix('_mm')
    return words.replace('_', ' ')
