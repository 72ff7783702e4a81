"""The content tree of a structured report: TID 1500, Measurement Report (PS3.16).

Importing this module needs highdicom, which the extra ``report`` installs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import highdicom.sr as hd
import numpy as np
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import generate_uid

from unsct_mmpose.anatomy import (
    LANDMARK_CLASSES,
    SIDES,
    LandmarkEstimate,
    Measurement,
    index_of,
)

from . import codes as sr_codes
from .records import Algorithm

RESEARCH = 'Research software, not a medical device: not a diagnosis, not for clinical use.'
SIMULATED = 'Simulated image: no patient. Its numbers say nothing about clinical accuracy.'

PIXEL_CENTRE = 0.5
"""DICOM counts from the corner of the first pixel, we from its centre (PS3.3, C.18.6)."""

_DEVICE_UID = generate_uid(entropy_srcs=['unsct_mmpose', 'device observer'])
_HAS_PROPERTIES = hd.RelationshipTypeValues.HAS_PROPERTIES
_HAS_CONCEPT_MOD = hd.RelationshipTypeValues.HAS_CONCEPT_MOD


@dataclass(frozen=True)
class Context:
    """What holds for the whole report.

    Attributes:
        algorithm: what found the landmarks.
        lengths_at: ``'bone'`` or ``'detector'``; None when there are no lengths.
        magnification: size on the detector over size at the bone; None when unknown.
        interval_level: the share of values that the intervals are meant to hold.
        observer: name of the person who is responsible, or None.
        frame: number of the frame, from 0; None for an image with one frame.
        simulated: the image shows no person.
    """

    algorithm: Algorithm
    lengths_at: str | None
    magnification: float | None
    interval_level: float
    observer: str | None
    frame: int | None
    simulated: bool


class Content:
    """Builds the content items of one report.

    Args:
        source: header of the image.
        landmarks: checked landmarks.
        context: what holds for all of them.
    """

    def __init__(
        self, source: Dataset, landmarks: Sequence[LandmarkEstimate], context: Context
    ) -> None:
        self.source = source
        self.landmarks = landmarks
        self.context = context
        self.points = {
            one.name: (one.x + PIXEL_CENTRE, one.y + PIXEL_CENTRE)
            for one in landmarks
            if one.reported
        }

    def report(self, measurements: Sequence[Measurement]) -> hd.MeasurementReport:
        """Return the whole tree."""
        groups = [self._measurement_group(side, measurements) for side in (*SIDES, None)]
        groups += [self._landmark_group(one) for one in self.landmarks if one.reported]
        groups += [self._unreported_group(side) for side in SIDES]
        report = hd.MeasurementReport(
            observation_context=self._observers(),
            procedure_reported=sr_codes.PROCEDURE,
            imaging_measurements=[group for group in groups if group is not None],
            referenced_images=[self.source],
        )
        contains = hd.RelationshipTypeValues.CONTAINS
        for text in (RESEARCH, SIMULATED) if self.context.simulated else (RESEARCH,):
            comment = hd.TextContentItem(sr_codes.COMMENT, text, contains)
            report[0].ContentSequence.insert(len(report[0].ContentSequence) - 1, comment)
        return report

    def _observers(self) -> hd.ObservationContext:
        device = hd.DeviceObserverIdentifyingAttributes(
            uid=_DEVICE_UID,
            name=self.context.algorithm.name,
            manufacturer_name='unsct_mmpose',
            model_name=f'{self.context.algorithm.name} {self.context.algorithm.version}',
        )
        person = None
        if self.context.observer is not None:
            person = hd.ObserverContext(
                codes.DCM.Person, hd.PersonObserverIdentifyingAttributes(self.context.observer)
            )
        return hd.ObservationContext(
            observer_person_context=person,
            observer_device_context=hd.ObserverContext(codes.DCM.Device, device),
        )

    def _algorithm(self) -> hd.AlgorithmIdentification:
        one = self.context.algorithm
        hashes = {'model hash': one.model_hash, 'calibration hash': one.calibration_hash}
        lines = [f'{name}: {value}' for name, value in hashes.items() if value]
        return hd.AlgorithmIdentification(one.name, one.version, [*lines, *one.parameters])

    def _image(self, kind: type) -> hd.ImageContentItem:
        """Return a reference to the image, of the kind that its place asks for."""
        frames = None if self.context.frame is None else [self.context.frame + 1]
        return kind(self.source.SOPClassUID, self.source.SOPInstanceUID, frames)

    def _measurement_group(
        self, side: str | None, measurements: Sequence[Measurement]
    ) -> hd.MeasurementsAndQualitativeEvaluations | None:
        """Return the measurements of one side (None: of both together)."""
        chosen = [one for one in measurements if one.side == side]
        if not chosen:
            return None
        site = sr_codes.PELVIS if side is None else sr_codes.HIP_JOINT
        return hd.MeasurementsAndQualitativeEvaluations(
            tracking_identifier=_tracking(f'{side or "both"} hip measurements'),
            finding_sites=[hd.FindingSite(site, sr_codes.LATERALITY[side])],
            algorithm_id=self._algorithm(),
            measurements=[self._measurement(one) for one in chosen if one.value is not None],
            qualitative_evaluations=[
                _absence(sr_codes.MEASUREMENTS[one.parameter], sr_codes.MEASUREMENT_FAILURE, one)
                for one in chosen
                if one.value is None
            ],
            source_images=[self._image(hd.SourceImageForMeasurementGroup)],
        )

    def _measurement(self, one: Measurement) -> hd.Measurement:
        """Return a value (TID 300) with its plane, line, uncertainty and landmarks."""
        points = np.array([self.points[name] for name in one.landmarks])
        method = one.reference_line and sr_codes.reference_line_code(one.reference_line)
        measurement = hd.Measurement(
            name=sr_codes.MEASUREMENTS[one.parameter],
            value=one.value,
            unit=sr_codes.UNITS[one.unit],
            method=method or None,
            properties=self._properties(one),
            referenced_coordinates=[
                hd.CoordinatesForMeasurement(
                    'MULTIPOINT' if len(points) > 1 else 'POINT',
                    points,
                    self._image(hd.SourceImageForRegion),
                    sr_codes.SOURCE_OF_MEASUREMENT,
                )
            ],
        )
        if one.unit == 'mm':
            plane = sr_codes.PLANES[str(self.context.lengths_at)]
            item = hd.CodeContentItem(sr_codes.LENGTH_PLANE, plane, _HAS_CONCEPT_MOD)
            measurement[0].ContentSequence.insert(0, item)
        return measurement

    def _properties(self, one: Measurement) -> hd.MeasurementProperties:
        """Return the interval as ranges about the value, its level, and the standard error."""
        entries: list[tuple[Code, float, str]] = []
        if one.value is not None and one.low is not None and one.high is not None:
            entries += [
                (sr_codes.UPPER_RANGE, one.high - one.value, one.unit),
                (sr_codes.LOWER_RANGE, one.value - one.low, one.unit),
                (sr_codes.INTERVAL_LEVEL, 100 * self.context.interval_level, '%'),
            ]
        if one.standard_error is not None:
            entries.append((sr_codes.STANDARD_ERROR, one.standard_error, one.unit))
        if one.unit == 'mm' and self.context.magnification is not None:
            entries.append((sr_codes.MAGNIFICATION, self.context.magnification, '1'))
        properties = hd.MeasurementProperties()
        properties.extend([_number(*entry) for entry in entries])
        return properties

    def _landmark_group(
        self, one: LandmarkEstimate
    ) -> hd.PlanarROIMeasurementsAndQualitativeEvaluations:
        """Return a landmark as a region that is one point (TID 1410)."""
        side, kind = _side_and_class(one.name)
        measurements = []
        if one.presence is not None:
            measurements.append(
                hd.Measurement(sr_codes.PRESENCE, float(one.presence), sr_codes.UNITS['1'])
            )
        return hd.PlanarROIMeasurementsAndQualitativeEvaluations(
            tracking_identifier=_tracking(one.name),
            referenced_region=hd.ImageRegion(
                'POINT', np.array([self.points[one.name]]), self._image(hd.SourceImageForRegion)
            ),
            finding_category=sr_codes.ANATOMICAL_STRUCTURE,
            finding_type=sr_codes.LANDMARKS[kind],
            finding_sites=[
                hd.FindingSite(sr_codes.LANDMARK_SITES[kind], sr_codes.LATERALITY[side])
            ],
            algorithm_id=self._algorithm(),
            measurements=measurements,
        )

    def _unreported_group(self, side: str) -> hd.MeasurementsAndQualitativeEvaluations | None:
        """Return the landmarks of one side that are not reported: names and reasons, no places."""
        evaluations = []
        for one in self.landmarks:
            if not one.reported and _side_and_class(one.name)[0] == side:
                name = sr_codes.LANDMARKS[_side_and_class(one.name)[1]]
                evaluations.append(_absence(name, sr_codes.NOT_REPORTED, one))
        if not evaluations:
            return None
        return hd.MeasurementsAndQualitativeEvaluations(
            tracking_identifier=_tracking(f'{side} landmarks that are not reported'),
            finding_sites=[hd.FindingSite(sr_codes.HIP_JOINT, sr_codes.LATERALITY[side])],
            algorithm_id=self._algorithm(),
            qualitative_evaluations=evaluations,
            source_images=[self._image(hd.SourceImageForMeasurementGroup)],
        )


def _side_and_class(name: str) -> tuple[str, int]:
    """Return the side of a landmark and its number in Table 1."""
    side, kind = divmod(index_of(name), len(LANDMARK_CLASSES))
    return SIDES[side], LANDMARK_CLASSES[kind].number


def _tracking(identifier: str) -> hd.TrackingIdentifier:
    return hd.TrackingIdentifier(uid=generate_uid(), identifier=identifier)


def _number(name: Code, value: float, unit: str) -> hd.NumContentItem:
    return hd.NumContentItem(
        name, float(value), sr_codes.UNITS[unit], relationship_type=_HAS_PROPERTIES
    )


def _absence(
    name: Code, value: Code, one: LandmarkEstimate | Measurement
) -> hd.QualitativeEvaluation:
    """Return an evaluation that says why there is no number."""
    evaluation = hd.QualitativeEvaluation(name, value)
    children = hd.ContentSequence()
    if one.reason:
        children.append(hd.TextContentItem(sr_codes.COMMENT, one.reason, _HAS_PROPERTIES))
    if isinstance(one, LandmarkEstimate) and one.presence is not None:
        children.append(_number(sr_codes.PRESENCE, one.presence, '1'))
    if len(children):
        evaluation[0].ContentSequence = children
    return evaluation
