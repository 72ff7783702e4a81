"""The clinical parameters of the paper's Table 2: what they need and which values are usual.

Reference values come from the literature on adult hips; they describe populations and are never
a diagnosis.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ReferenceRange:
    """A range of values and what the literature calls it.

    Attributes:
        label: the literature's name of the range.
        low: lower end, or None where the range is open.
        high: upper end, or None where the range is open.
        source: who published it.
    """

    label: str
    low: float | None
    high: float | None
    source: str


@dataclass(frozen=True)
class ClinicalParameter:
    """One measurement, defined once for each side.

    Attributes:
        name: snake-case name, without unit and side.
        title: name for people.
        landmarks: numbers of Table 1 that it needs on the same side.
        outputs: names of the values that it yields, with their units as suffixes.
        frame: ``'pelvis'`` when it needs the pelvic reference line, ``'femur'`` when it does not.
        definition: the formula in words or symbols.
        references: ranges from the literature.
    """

    name: str
    title: str
    landmarks: tuple[int, ...]
    outputs: tuple[str, ...]
    frame: str
    definition: str
    references: tuple[ReferenceRange, ...] = ()


CLINICAL_PARAMETERS: tuple[ClinicalParameter, ...] = (
    ClinicalParameter(
        'skinner_line',
        'Skinner line',
        (5, 7, 11, 12),
        ('skinner_height_mm', 'skinner_distance_mm'),
        'femur',
        'height of the fovea above the trochanter tip along the shaft, h = (P5-P7).t, and distance '
        'of the fovea from the foot of the tip on the shaft axis, d = |P5-foot(P7)|',
        (ReferenceRange('usual distance', 40.0, 50.0, 'Skinner'),),
    ),
    ClinicalParameter(
        'neck_shaft_angle',
        'Femoral neck-shaft angle',
        (6, 10, 11, 12),
        ('neck_shaft_angle_deg',),
        'femur',
        'angle between P6-P10 and P12-P11',
        (
            ReferenceRange('coxa vara', None, 120.0, 'literature'),
            ReferenceRange('usual', 120.0, 132.0, 'literature, 126 +- 6'),
            ReferenceRange('coxa valga', 140.0, None, 'literature'),
        ),
    ),
    ClinicalParameter(
        'femoral_offset',
        'Femoral offset',
        (6, 11, 12),
        ('femoral_offset_mm',),
        'femur',
        'distance of P6 from the line P11-P12; negative when the head lies lateral to it',
        (ReferenceRange('usual', 39.0, 45.0, 'literature'),),
    ),
    ClinicalParameter(
        'acetabular_offset',
        'Acetabular offset',
        (6, 8),
        ('acetabular_offset_mm',),
        'pelvis',
        '(P6-P8).lat',
        (ReferenceRange('usual', 30.0, 34.0, 'literature'),),
    ),
    ClinicalParameter(
        'center_edge_angle',
        'Lateral centre-edge angle',
        (3, 6),
        ('center_edge_angle_deg',),
        'pelvis',
        'atan2((P3-P6).lat, (P3-P6).up)',
        (
            ReferenceRange('dysplasia', None, 20.0, 'Wiberg'),
            ReferenceRange('borderline', 20.0, 25.0, 'Wiberg'),
            ReferenceRange('usual', 25.0, 39.0, 'Toennis & Heinecke'),
            ReferenceRange('protrusio', 44.0, None, 'Toennis & Heinecke'),
        ),
    ),
    ClinicalParameter(
        'acetabular_index',
        'Acetabular index',
        (2, 3, 4),
        ('acetabular_index_roof_deg', 'acetabular_index_hilgenreiner_deg'),
        'pelvis',
        'slope of P3-P4 (roof) or P3-P2 (hilgenreiner) against the line through both P2',
        (
            ReferenceRange('usual roof', 3.0, 13.0, 'Toennis & Heinecke'),
            ReferenceRange('steep roof', 10.0, None, 'Toennis & Heinecke'),
        ),
    ),
    ClinicalParameter(
        'sharp_angle',
        'Sharp angle',
        (3, 8),
        ('sharp_angle_deg',),
        'pelvis',
        'atan2((P3-P8).up, (P3-P8).lat)',
        (
            ReferenceRange('usual', 33.0, 38.0, 'Sharp'),
            ReferenceRange('dysplasia', 42.0, None, 'Sharp'),
        ),
    ),
    ClinicalParameter(
        'koehler_line',
        'Koehler (ilioischial) line',
        (1, 9),
        ('koehler_angle_deg',),
        'pelvis',
        'atan2((P1-P9).lat, (P1-P9).up)',
    ),
)


def parameter(name: str) -> ClinicalParameter:
    """Return a clinical parameter by name.

    Raises:
        KeyError: no parameter has this name; the message lists the valid names.

    Example:
        >>> parameter('sharp_angle').landmarks
        (3, 8)
    """
    for candidate in CLINICAL_PARAMETERS:
        if candidate.name == name:
            return candidate
    known = ', '.join(candidate.name for candidate in CLINICAL_PARAMETERS)
    raise KeyError(f'unknown clinical parameter {name!r}; known: {known}')
