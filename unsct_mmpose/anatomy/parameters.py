"""The clinical parameters: what they need and which values are usual.

``CLINICAL_PARAMETERS`` are those of the paper's Table 2; ``EXTRA_PARAMETERS`` follow from the same
landmarks and are expected in planning. Their formulas are computed in ``functional.clinical``.

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
        output: which output of its parameter it is about; None when there is only one.
    """

    label: str
    low: float | None
    high: float | None
    source: str
    output: str | None = None

    @property
    def is_usual(self) -> bool:
        """Whether it is where most adults lie."""
        return self.label.startswith('usual')

    def contains(self, value: float) -> bool:
        """Whether a value lies in the range; an open range other than the usual leaves out its end.

        Example:
            >>> ReferenceRange('steep roof', 10.0, None, 'literature').contains(10.0)
            False
        """
        if not self.is_usual and (self.low is None or self.high is None):
            return (self.low is None or self.low < value) and (
                self.high is None or value < self.high
            )
        return (self.low is None or self.low <= value) and (self.high is None or value <= self.high)


@dataclass(frozen=True)
class ClinicalParameter:
    """One measurement, defined once for each side or once for both.

    Attributes:
        name: snake-case name, without unit and side.
        title: name for people.
        landmarks: numbers of Table 1 that define it, on the same side.
        outputs: names of the values that it yields, with their units as suffixes.
        frame: ``'pelvis'`` when it needs the pelvic reference line, ``'femur'`` when it does not,
            ``'image'`` when it is read against the image's horizontal.
        definition: the formula in words or symbols.
        references: ranges from the literature.
        output_landmarks: what each output needs, where that differs from ``landmarks``.
        sided: whether there is one for each side; else it needs its landmarks on both.
    """

    name: str
    title: str
    landmarks: tuple[int, ...]
    outputs: tuple[str, ...]
    frame: str
    definition: str
    references: tuple[ReferenceRange, ...] = ()
    output_landmarks: tuple[tuple[int, ...], ...] = ()
    sided: bool = True

    def needs(self, output: str) -> tuple[int, ...]:
        """Return the landmarks without which an output cannot be measured.

        Raises:
            ValueError: the parameter has no such output.

        Example:
            >>> parameter('acetabular_index').needs('acetabular_index_hilgenreiner_deg')
            (2, 3)
        """
        if output not in self.outputs:
            raise ValueError(f'{self.name} yields {", ".join(self.outputs)}, not {output!r}')
        each = self.output_landmarks or (self.landmarks,) * len(self.outputs)
        return each[self.outputs.index(output)]

    def references_of(self, output: str) -> tuple[ReferenceRange, ...]:
        """Return the ranges that are about one output."""
        return tuple(one for one in self.references if one.output in (None, output))


CLINICAL_PARAMETERS: tuple[ClinicalParameter, ...] = (
    ClinicalParameter(
        'skinner_line',
        'Skinner line',
        (5, 7, 11, 12),
        ('skinner_height_mm', 'skinner_distance_mm'),
        'femur',
        'height of the fovea above the trochanter tip along the shaft, h = (P5-P7).t, and distance '
        'of the fovea from the foot of the tip on the shaft axis, d = |P5-foot(P7)|',
        (ReferenceRange('usual distance', 40.0, 50.0, 'Skinner', 'skinner_distance_mm'),),
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
        'slope of P3-P4 (roof) or P3-P2 (hilgenreiner) against the line through both P2, or the '
        'pelvic reference line where one P2 is absent; positive when the lateral end is higher',
        (
            ReferenceRange(
                'usual roof', 3.0, 13.0, 'Toennis & Heinecke', 'acetabular_index_roof_deg'
            ),
            ReferenceRange(
                'steep roof', 10.0, None, 'Toennis & Heinecke', 'acetabular_index_roof_deg'
            ),
        ),
        ((3, 4), (2, 3)),
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
        ('koehler_angle_deg', 'koehler_head_mm', 'koehler_teardrop_mm'),
        'pelvis',
        'angle atan2((P1-P9).lat, (P1-P9).up); distances of the head centre, (P6-P9).n, and of the '
        'teardrop, (P8-P9).n, from the line P1-P9, positive when lateral to it',
        output_landmarks=((1, 9), (1, 6, 9), (1, 8, 9)),
    ),
)

EXTRA_PARAMETERS: tuple[ClinicalParameter, ...] = (
    ClinicalParameter(
        'hip_center_height',
        'Hip-centre height',
        (6, 8),
        ('hip_center_height_mm',),
        'pelvis',
        '(P6-P8).up; positive when the head centre lies above the teardrop',
    ),
    ClinicalParameter(
        'global_offset',
        'Global offset',
        (6, 8, 11, 12),
        ('global_offset_mm',),
        'pelvis',
        'femoral offset (P6 from the line P11-P12) + acetabular offset (P6-P8).lat',
    ),
    ClinicalParameter(
        'shaft_abduction',
        'Shaft abduction',
        (11, 12),
        ('shaft_abduction_deg',),
        'pelvis',
        'angle of P12-P11 from straight down; positive when the distal end lies lateral',
    ),
    ClinicalParameter(
        'pelvic_obliquity',
        'Pelvic obliquity',
        (8,),
        ('pelvic_obliquity_deg',),
        'image',
        "slope of the line through both P8 against the image's horizontal; positive when the left "
        'teardrop is higher in the image',
        sided=False,
    ),
    ClinicalParameter(
        'gt_leg_length_difference',
        'Leg-length difference by the greater trochanters',
        (7, 8),
        ('gt_leg_length_difference_mm',),
        'pelvis',
        '(P7-P8).up of the left minus that of the right; positive when the left trochanter lies '
        'higher, as with a shorter left leg. Depends on the position of the legs: read it '
        'beside the shaft abduction of both sides',
        sided=False,
    ),
)

_ALL = CLINICAL_PARAMETERS + EXTRA_PARAMETERS


def parameter(name: str) -> ClinicalParameter:
    """Return a clinical parameter by name.

    Raises:
        KeyError: no parameter has this name; the message lists the valid names.

    Example:
        >>> parameter('sharp_angle').landmarks
        (3, 8)
    """
    for candidate in _ALL:
        if candidate.name == name:
            return candidate
    known = ', '.join(candidate.name for candidate in _ALL)
    raise KeyError(f'unknown clinical parameter {name!r}; known: {known}')


def parameter_of_output(output: str) -> ClinicalParameter:
    """Return the parameter that yields an output.

    Args:
        output: name with its unit and without a side.

    Raises:
        KeyError: no parameter yields it; the message lists the valid names.

    Example:
        >>> parameter_of_output('koehler_head_mm').name
        'koehler_line'
    """
    for candidate in _ALL:
        if output in candidate.outputs:
            return candidate
    known = ', '.join(name for candidate in _ALL for name in candidate.outputs)
    raise KeyError(f'unknown measurement {output!r}; known: {known}')
