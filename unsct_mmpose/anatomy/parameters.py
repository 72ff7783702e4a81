"""The clinical parameters: a row of one table for each value, with everything about it.

:data:`CLINICAL_PARAMETERS` are those of the paper's Table 2; :data:`EXTRA_PARAMETERS` follow from
the same landmarks and are expected in planning. ``functional.clinical_formulas`` has the formula of
each row; reports, pictures and structured reports need nothing but the row.

Reference values come from the literature on adult hips; they describe populations and are never
a diagnosis.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from .landmarks import (
    FOVEA,
    HEAD,
    ILIUM,
    ISCHIUM,
    LOWER_EDGE,
    NECK,
    SHAFT_END,
    SHAFT_TOP,
    SIDES,
    TEARDROP,
    TROCHANTER,
    UPPER_EDGE,
    Y_CARTILAGE,
)

GROUPS = ('Acetabulum', 'Femur', 'Hip centre', 'Both sides')
"""Where a reader looks for a value, in this order."""

IMAGE_AXES = 'image axes'

REFERENCE_LINES: tuple[str, ...] = ('8L-8R', '9L-9R', '6L-6R', '2L-2R', '1L-1R', IMAGE_AXES)
"""Reference lines in order of preference: pairs of Table 1, else the axes of the image."""


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

    def limits(self, unit: str = '') -> str:
        """Return the ends with their source.

        Example:
            >>> ReferenceRange('usual', 33.0, 38.0, 'Sharp').limits(' deg')
            '33 to 38 deg (Sharp)'
        """
        if self.low is None:
            return f'below {self.high:g}{unit} ({self.source})'
        if self.high is None:
            return f'above {self.low:g}{unit} ({self.source})'
        return f'{self.low:g} to {self.high:g}{unit} ({self.source})'


@dataclass(frozen=True)
class Foot:
    """The foot of the perpendicular from a landmark on the line of two others."""

    of: int
    line: tuple[int, int]


@dataclass(frozen=True)
class Corner:
    """The place that one reaches from a landmark along an axis, level with another landmark."""

    start: int
    level_with: int
    axis: str


@dataclass(frozen=True)
class Line:
    """A line of a drawing.

    Attributes:
        start: a landmark's number of Table 1, or a constructed place.
        end: likewise, or the direction ``'up'`` or ``'lateral'`` of the pelvic frame.
        reach: ``'ends'``; ``'beyond'`` the end or ``'both'`` ends by an overhang; ``'ray'`` of a
            fixed length towards the end.
    """

    start: int | Foot | Corner
    end: int | Foot | Corner | str
    reach: str = 'ends'


@dataclass(frozen=True)
class Drawing:
    """How a value is shown on the image.

    Attributes:
        title: for the legend.
        short: beside the value on the image.
        color: ``#rrggbb``.
        lines: the first one is the measured length or the side of the angle that the value is
            written at; the others only carry it.
        shown: whether a report shows it at first.
    """

    title: str
    short: str
    color: str
    lines: tuple[Line, ...]
    shown: bool = False


@dataclass(frozen=True)
class ClinicalParameter:
    """One value that is measured, defined once for each side or once for both.

    Attributes:
        name: snake-case name with its unit as suffix, without a side.
        title: name for people.
        group: one of :data:`GROUPS`.
        rank: its place among those of its group.
        landmarks: numbers of Table 1 without which it cannot be measured, on the same side.
        vectors: pairs of them whose direction or sign the value depends on; a number with itself is
            the vector from the left landmark to the right one.
        frame: ``'pelvis'`` when it needs the pelvic reference line, ``'femur'`` when it does not,
            ``'image'`` when it is read against the image's horizontal.
        definition: the formula in words or symbols, with its sign.
        code: value and meaning of its code in a structured report.
        references: ranges from the literature, the usual one included.
        drawing: None where it is not drawn.
        sided: whether there is one for each side; else it needs its landmarks on both.
    """

    name: str
    title: str
    group: str
    rank: int
    landmarks: tuple[int, ...]
    vectors: tuple[tuple[int, int], ...]
    frame: str
    definition: str
    code: tuple[str, str]
    references: tuple[ReferenceRange, ...] = ()
    drawing: Drawing | None = None
    sided: bool = True

    @property
    def unit(self) -> str:
        """``'deg'`` or ``'mm'``."""
        return self.name.rsplit('_', 1)[1]

    @property
    def usual_ranges(self) -> tuple[ReferenceRange, ...]:
        """Where most adults lie, by the literature."""
        return tuple(ends for ends in self.references if ends.is_usual)


_SKINNER = (
    'height of the fovea above the trochanter tip along the shaft, h = (P5-P7).t, and distance '
    'of the fovea from the foot of the tip on the shaft axis, d = |P5-foot(P7)|'
)
_ACETABULAR_INDEX = (
    'slope of P3-P4 (roof) or P3-P2 (hilgenreiner) against the line through both P2, or the '
    'pelvic reference line where one P2 is absent; positive when the lateral end is higher'
)
_KOEHLER = (
    'angle atan2((P1-P9).lat, (P1-P9).up); distances of the head centre, (P6-P9).n, and of the '
    'teardrop, (P8-P9).n, from the line P1-P9, positive when lateral to it'
)
_SHAFT = (SHAFT_TOP, SHAFT_END)

# fmt: off
CLINICAL_PARAMETERS: tuple[ClinicalParameter, ...] = (
    ClinicalParameter(
        'skinner_height_mm', 'Skinner line: height of the fovea', 'Femur', 3,
        landmarks=(FOVEA, TROCHANTER, *_SHAFT), frame='femur',
        vectors=(_SHAFT, (FOVEA, TROCHANTER)),
        definition=_SKINNER,
        code=('SKINNER-HEIGHT', 'Skinner line, height over trochanter tip'),
    ),
    ClinicalParameter(
        'skinner_distance_mm', 'Skinner line: distance of the fovea', 'Femur', 2,
        landmarks=(FOVEA, TROCHANTER, *_SHAFT), frame='femur',
        vectors=(_SHAFT,),  # the distance itself is checked as a value
        definition=_SKINNER,
        code=('SKINNER-DISTANCE', 'Skinner line, distance from fovea to foot'),
        references=(ReferenceRange('usual distance', 40.0, 50.0, 'Skinner'),),
    ),
    ClinicalParameter(
        'neck_shaft_angle_deg', 'Neck-shaft angle', 'Femur', 0,
        landmarks=(HEAD, NECK, *_SHAFT), frame='femur',
        vectors=((HEAD, NECK), _SHAFT),
        definition='angle between P6-P10 and P12-P11',
        code=('NSA', 'Femoral neck-shaft angle'),
        references=(
            ReferenceRange('coxa vara', None, 120.0, 'literature'),
            ReferenceRange('usual', 120.0, 132.0, 'literature, 126 +- 6'),
            ReferenceRange('coxa valga', 140.0, None, 'literature'),
        ),
        drawing=Drawing('Neck-shaft', 'NSA', '#FFB199', (
            Line(HEAD, NECK, 'beyond'), Line(*_SHAFT, 'both'),
        ), shown=True),
    ),
    ClinicalParameter(
        'femoral_offset_mm', 'Femoral offset', 'Femur', 1,
        landmarks=(HEAD, *_SHAFT), frame='femur',
        vectors=(_SHAFT,),
        definition='distance of P6 from the line P11-P12; negative when the head lies lateral to '
        'it',
        code=('FEMORAL-OFFSET', 'Femoral offset'),
        references=(ReferenceRange('usual', 39.0, 45.0, 'literature'),),
        drawing=Drawing('Femoral offset', 'FO', '#8EF0E4', (
            Line(HEAD, Foot(HEAD, _SHAFT)), Line(Foot(HEAD, _SHAFT), SHAFT_END),
        )),
    ),
    ClinicalParameter(
        'acetabular_offset_mm', 'Acetabular offset', 'Hip centre', 0,
        landmarks=(HEAD, TEARDROP), frame='pelvis',
        vectors=((HEAD, TEARDROP),),
        definition='(P6-P8).lat',
        code=('ACET-OFFSET', 'Acetabular offset'),
        references=(ReferenceRange('usual', 30.0, 34.0, 'literature'),),
        drawing=Drawing('Acetabular offset', 'AO', '#B9E769', (
            Line(TEARDROP, Corner(TEARDROP, HEAD, 'lateral')),
            Line(Corner(TEARDROP, HEAD, 'lateral'), HEAD),
        )),
    ),
    ClinicalParameter(
        'center_edge_angle_deg', 'Lateral centre-edge angle', 'Acetabulum', 0,
        landmarks=(UPPER_EDGE, HEAD), frame='pelvis',
        vectors=((UPPER_EDGE, HEAD),),
        definition='atan2((P3-P6).lat, (P3-P6).up)',
        code=('LCEA', 'Lateral centre-edge angle'),
        references=(
            ReferenceRange('dysplasia', None, 20.0, 'Wiberg'),
            ReferenceRange('borderline', 20.0, 25.0, 'Wiberg'),
            ReferenceRange('usual', 25.0, 39.0, 'Toennis & Heinecke'),
            ReferenceRange('protrusio', 44.0, None, 'Toennis & Heinecke'),
        ),
        drawing=Drawing('Centre-edge', 'CE', '#5BE37D', (
            Line(HEAD, UPPER_EDGE, 'ray'), Line(HEAD, 'up', 'ray'),
        ), shown=True),
    ),
    ClinicalParameter(
        'acetabular_index_roof_deg', 'Acetabular index (roof)', 'Acetabulum', 2,
        landmarks=(UPPER_EDGE, LOWER_EDGE), frame='pelvis',
        vectors=((UPPER_EDGE, LOWER_EDGE),),
        definition=_ACETABULAR_INDEX,
        code=('AI-ROOF', 'Acetabular index of the roof'),
        references=(
            ReferenceRange('usual roof', 3.0, 13.0, 'Toennis & Heinecke'),
            ReferenceRange('steep roof', 10.0, None, 'Toennis & Heinecke'),
        ),
    ),
    ClinicalParameter(
        'acetabular_index_hilgenreiner_deg', 'Acetabular index (Hilgenreiner)', 'Acetabulum', 3,
        landmarks=(Y_CARTILAGE, UPPER_EDGE), frame='pelvis',
        vectors=((UPPER_EDGE, Y_CARTILAGE),),
        definition=_ACETABULAR_INDEX,
        code=('AI-HILGENREINER', 'Acetabular index, Hilgenreiner'),
    ),
    ClinicalParameter(
        'sharp_angle_deg', 'Sharp angle', 'Acetabulum', 1,
        landmarks=(UPPER_EDGE, TEARDROP), frame='pelvis',
        vectors=((UPPER_EDGE, TEARDROP),),
        definition='atan2((P3-P8).up, (P3-P8).lat)',
        code=('SHARP', 'Sharp angle'),
        references=(
            ReferenceRange('usual', 33.0, 38.0, 'Sharp'),
            ReferenceRange('dysplasia', 42.0, None, 'Sharp'),
        ),
        drawing=Drawing('Sharp', 'Sharp', '#C9A8FF', (
            Line(TEARDROP, UPPER_EDGE), Line(TEARDROP, 'lateral', 'ray'),
        )),
    ),
    ClinicalParameter(
        'koehler_angle_deg', 'Angle of the Koehler line', 'Hip centre', 5,
        landmarks=(ILIUM, ISCHIUM), frame='pelvis',
        vectors=((ILIUM, ISCHIUM),),
        definition=_KOEHLER,
        code=('KOEHLER-ANGLE', 'Angle of the ilioischial line'),
        drawing=Drawing('Koehler', 'K', '#D9D3C7', (Line(ISCHIUM, ILIUM, 'both'),)),
    ),
    ClinicalParameter(
        'koehler_head_mm', 'Distance from the Koehler line', 'Hip centre', 3,
        landmarks=(ILIUM, HEAD, ISCHIUM), frame='pelvis',
        vectors=((ILIUM, ISCHIUM), (HEAD, ISCHIUM)),
        definition=_KOEHLER,
        code=('KOEHLER-HEAD', 'Head centre from the ilioischial line'),
    ),
    ClinicalParameter(
        'koehler_teardrop_mm', 'Teardrop from the Koehler line', 'Hip centre', 4,
        landmarks=(ILIUM, TEARDROP, ISCHIUM), frame='pelvis',
        vectors=((ILIUM, ISCHIUM), (TEARDROP, ISCHIUM)),
        definition=_KOEHLER,
        code=('KOEHLER-TEARDROP', 'Teardrop from the ilioischial line'),
    ),
)

EXTRA_PARAMETERS: tuple[ClinicalParameter, ...] = (
    ClinicalParameter(
        'hip_center_height_mm', 'Height over the teardrop', 'Hip centre', 2,
        landmarks=(HEAD, TEARDROP), frame='pelvis',
        vectors=((HEAD, TEARDROP),),
        definition='(P6-P8).up; positive when the head centre lies above the teardrop',
        code=('HIP-HEIGHT', 'Height of the hip centre over the teardrop'),
        drawing=Drawing('Hip-centre height', 'HCH', '#FFD6F2', (
            Line(HEAD, Corner(HEAD, TEARDROP, 'up')),
            Line(Corner(HEAD, TEARDROP, 'up'), TEARDROP),
        )),
    ),
    ClinicalParameter(
        'global_offset_mm', 'Global offset', 'Hip centre', 1,
        landmarks=(HEAD, TEARDROP, *_SHAFT), frame='pelvis',
        vectors=((HEAD, TEARDROP), _SHAFT),
        definition='femoral offset (P6 from the line P11-P12) + acetabular offset (P6-P8).lat',
        code=('GLOBAL-OFFSET', 'Global offset'),
    ),
    ClinicalParameter(
        'shaft_abduction_deg', 'Shaft abduction', 'Femur', 4,
        landmarks=_SHAFT, frame='pelvis',
        vectors=(_SHAFT,),
        definition='angle of P12-P11 from straight down; positive when the distal end lies lateral',
        code=('SHAFT-ABDUCTION', 'Shaft abduction'),
    ),
    ClinicalParameter(
        'pelvic_obliquity_deg', 'Pelvic obliquity', 'Both sides', 0,
        landmarks=(TEARDROP,), frame='image',
        vectors=((TEARDROP, TEARDROP),),
        definition="slope of the line through both P8 against the image's horizontal; positive "
        'when the left teardrop is higher in the image',
        code=('OBLIQUITY', 'Pelvic obliquity'),
        sided=False,
    ),
    ClinicalParameter(
        'gt_leg_length_difference_mm', 'Leg-length difference (trochanters)', 'Both sides', 1,
        landmarks=(TROCHANTER, TEARDROP), frame='pelvis',
        vectors=((TROCHANTER, TEARDROP),),
        definition='(P7-P8).up of the left minus that of the right; positive when the left '
        'trochanter lies higher, as with a shorter left leg. Depends on the position of the legs: '
        'read it beside the shaft abduction of both sides',
        code=('GT-LLD', 'Leg-length difference by greater trochanters'),
        sided=False,
    ),
)
# fmt: on

PARAMETERS: dict[str, ClinicalParameter] = {
    row.name: row for row in CLINICAL_PARAMETERS + EXTRA_PARAMETERS
}
"""By name, in the order in which values are measured and stored."""

REPORTED: tuple[ClinicalParameter, ...] = tuple(
    sorted(PARAMETERS.values(), key=lambda row: (GROUPS.index(row.group), row.rank))
)
"""In the order in which a reader looks for them."""

MEASUREMENT_NAMES: tuple[str, ...] = (
    *(f'{side}_{row.name}' for side in SIDES for row in PARAMETERS.values() if row.sided),
    *(row.name for row in PARAMETERS.values() if not row.sided),
)
"""Order of every array of measurements: all of the left side, all of the right, then of both."""


def split_side(name: str) -> tuple[str | None, str]:
    """Split the name of a measurement into its side and its parameter.

    Example:
        >>> split_side('left_sharp_angle_deg'), split_side('pelvic_obliquity_deg')
        (('left', 'sharp_angle_deg'), (None, 'pelvic_obliquity_deg'))
    """
    for side in SIDES:
        if name.startswith(f'{side}_'):
            return side, name.removeprefix(f'{side}_')
    return None, name


def parameter(name: str) -> ClinicalParameter:
    """Return the row of a parameter, or of a measurement of one side.

    Raises:
        KeyError: there is none; the message lists the valid names.

    Example:
        >>> parameter('left_sharp_angle_deg').landmarks
        (3, 8)
    """
    try:
        return PARAMETERS[split_side(name)[1]]
    except KeyError:
        names = ', '.join(PARAMETERS)
        raise KeyError(f'unknown measurement {name!r}; known: {names}') from None


def line_landmark(line: str | None) -> int | None:
    """Return the number of Table 1 whose pair a reference line joins; None where it joins none.

    Example:
        >>> line_landmark('8L-8R'), line_landmark('image axes')
        (8, None)
    """
    return int(line.split('L')[0]) if line in REFERENCE_LINES[:-1] else None


def reference_label(name: str, value: float | None) -> str:
    """Say how a value lies to the ranges that the literature gives for adults.

    Args:
        name: name of a measurement, with or without its side.
        value: in the unit of the measurement; None where it was not measured.

    Returns:
        Neutral words: the usual range first, then every further range of the literature that holds
        the value, by its limits only. What the literature calls those stands in the table.

    Raises:
        KeyError: there is no such measurement; the message lists the valid names.

    Example:
        >>> reference_label('left_center_edge_angle_deg', 32.9)
        'within usual range 25 to 39 deg (Toennis & Heinecke)'
        >>> reference_label('center_edge_angle_deg', 18.0)
        'below usual range 25 to 39 deg (Toennis & Heinecke); below 20 deg (Wiberg)'
        >>> reference_label('global_offset_mm', 71.0)
        'no reference range'
    """
    row = parameter(name)
    if not row.references:
        return 'no reference range'
    if value is None or math.isnan(value):
        return 'not measured'
    unit = f' {row.unit}'
    texts = []
    for usual in row.usual_ranges:
        outside = 'below' if usual.low is not None and value < usual.low else 'above'
        place = 'within' if usual.contains(value) else outside
        texts.append(f'{place} usual range {usual.limits(unit)}')
    texts += [
        ends.limits(unit) for ends in row.references if not ends.is_usual and ends.contains(value)
    ]
    return '; '.join(texts)
