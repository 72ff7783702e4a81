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
from .records import PIXEL_CENTRE, Algorithm

RESEARCH = 'Research software, not a medical device: not a diagnosis, not for clinical use.'
SIMULATED = 'Simulated image: no patient. Its numbers say nothing about clinical accuracy.'

_DEVICE_UID = generate_uid(entropy_srcs=['unsct_mmpose', 'device observer'])
_HAS_PROPERTIES = hd.RelationshipTypeValues.HAS_PROPERTIES
_HAS_CONCEPT_MOD = hd.RelationshipTypeValues.HAS_CONCEPT_MOD


@dataclass(frozen=True)
class Context:
    """What holds for a whole report; see :func:`unsct_mmpose.dicom.sr.write_structured_report`."""

    algorithm: Algorithm
    lengths_at: str | None
    magnification: float | None
    interval_level: float
    observer: str | None
    frame: int | None
    simulated: bool


class Content:
    """Builds the content items of one report, of the header of its image and checked landmarks."""

    def __init__(
        self, source: Dataset, landmarks: Sequence[LandmarkEstimate], context: Context
    ) -> None:
        self.source = source
        self.landmarks = landmarks
        self.context = context
        self.points = {
            landmark.name: (landmark.x + PIXEL_CENTRE, landmark.y + PIXEL_CENTRE)
            for landmark in landmarks
            if landmark.reported
        }

    def report(self, measurements: Sequence[Measurement]) -> hd.MeasurementReport:
        """Return the whole tree."""
        groups = [self._measurement_group(side, measurements) for side in (*SIDES, None)]
        groups += [
            self._landmark_group(landmark) for landmark in self.landmarks if landmark.reported
        ]
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
        algorithm = self.context.algorithm
        hashes = (('model', algorithm.model_hash), ('calibration', algorithm.calibration_hash))
        lines = [f'{name} hash: {value}' for name, value in hashes if value]
        lines += algorithm.parameters
        return hd.AlgorithmIdentification(algorithm.name, algorithm.version, lines)

    def _image(self, kind: type) -> hd.ImageContentItem:
        """Return a reference to the image, of the kind that its place asks for."""
        frames = None if self.context.frame is None else [self.context.frame + 1]
        return kind(self.source.SOPClassUID, self.source.SOPInstanceUID, frames)

    def _measurement_group(
        self, side: str | None, measurements: Sequence[Measurement]
    ) -> hd.MeasurementsAndQualitativeEvaluations | None:
        """Return the measurements of one side (None: of both together)."""
        chosen = [measurement for measurement in measurements if measurement.side == side]
        if not chosen:
            return None
        absences = [
            _absence(sr_codes.MEASUREMENTS[absent.parameter], sr_codes.MEASUREMENT_FAILURE, absent)
            for absent in chosen
            if absent.value is None
        ]
        site = sr_codes.PELVIS if side is None else sr_codes.HIP_JOINT
        values = [self._measurement(given) for given in chosen if given.value is not None]
        return self._group(f'{side or "both"} hip measurements', site, side, absences, values)

    def _group(
        self,
        name: str,
        site: Code,
        side: str | None,
        evaluations: Sequence[hd.QualitativeEvaluation],
        measurements: Sequence[hd.Measurement] | None = None,
    ) -> hd.MeasurementsAndQualitativeEvaluations:
        return hd.MeasurementsAndQualitativeEvaluations(
            tracking_identifier=_tracking(name),
            finding_sites=[hd.FindingSite(site, sr_codes.LATERALITY[side])],
            algorithm_id=self._algorithm(),
            measurements=measurements,
            qualitative_evaluations=evaluations,
            source_images=[self._image(hd.SourceImageForMeasurementGroup)],
        )

    def _measurement(self, measurement: Measurement) -> hd.Measurement:
        """Return a value (TID 300) with its plane, line, uncertainty and landmarks."""
        points = np.array([self.points[name] for name in measurement.landmarks])
        method = measurement.reference_line and sr_codes.reference_line_code(
            measurement.reference_line
        )
        group = hd.Measurement(
            name=sr_codes.MEASUREMENTS[measurement.parameter],
            value=measurement.value,
            unit=sr_codes.UNITS[measurement.unit],
            method=method or None,
            properties=self._properties(measurement),
            referenced_coordinates=[
                hd.CoordinatesForMeasurement(
                    'MULTIPOINT' if len(points) > 1 else 'POINT',
                    points,
                    self._image(hd.SourceImageForRegion),
                    sr_codes.SOURCE_OF_MEASUREMENT,
                )
            ],
        )
        if measurement.unit == 'mm':
            plane = sr_codes.PLANES[str(self.context.lengths_at)]
            item = hd.CodeContentItem(sr_codes.LENGTH_PLANE, plane, _HAS_CONCEPT_MOD)
            group[0].ContentSequence.insert(0, item)
        return group

    def _properties(self, measurement: Measurement) -> hd.MeasurementProperties:
        """Return the interval as ranges about the value, its level, and the standard error."""
        entries: list[tuple[Code, float, str]] = []
        value, low, high, unit = (
            measurement.value, measurement.low, measurement.high, measurement.unit
        )  # fmt: skip
        if value is not None and low is not None and high is not None:
            entries += [
                (sr_codes.UPPER_RANGE, high - value, unit),
                (sr_codes.LOWER_RANGE, value - low, unit),
                (sr_codes.INTERVAL_LEVEL, 100 * self.context.interval_level, '%'),
            ]
        if measurement.standard_error is not None:
            entries.append((sr_codes.STANDARD_ERROR, measurement.standard_error, unit))
        if measurement.unit == 'mm' and self.context.magnification is not None:
            entries.append((sr_codes.MAGNIFICATION, self.context.magnification, '1'))
        properties = hd.MeasurementProperties()
        properties.extend([_number(*entry) for entry in entries])
        return properties

    def _landmark_group(
        self, landmark: LandmarkEstimate
    ) -> hd.PlanarROIMeasurementsAndQualitativeEvaluations:
        """Return a landmark as a region that is one point (TID 1410)."""
        side, kind = _side_and_class(landmark.name)
        presence = [] if landmark.presence is None else [float(landmark.presence)]
        measurements = [
            hd.Measurement(sr_codes.PRESENCE, value, sr_codes.UNITS['1']) for value in presence
        ]
        return hd.PlanarROIMeasurementsAndQualitativeEvaluations(
            tracking_identifier=_tracking(landmark.name),
            referenced_region=hd.ImageRegion(
                'POINT',
                np.array([self.points[landmark.name]]),
                self._image(hd.SourceImageForRegion),
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
        for landmark in self.landmarks:
            if not landmark.reported and _side_and_class(landmark.name)[0] == side:
                name = sr_codes.LANDMARKS[_side_and_class(landmark.name)[1]]
                evaluations.append(_absence(name, sr_codes.NOT_REPORTED, landmark))
        if not evaluations:
            return None
        name = f'{side} landmarks that are not reported'
        return self._group(name, sr_codes.HIP_JOINT, side, evaluations)


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
    name: Code, value: Code, record: LandmarkEstimate | Measurement
) -> hd.QualitativeEvaluation:
    """Return an evaluation that says why there is no number."""
    evaluation = hd.QualitativeEvaluation(name, value)
    children = hd.ContentSequence()
    if record.reason:
        children.append(hd.TextContentItem(sr_codes.COMMENT, record.reason, _HAS_PROPERTIES))
    if isinstance(record, LandmarkEstimate) and record.presence is not None:
        children.append(_number(sr_codes.PRESENCE, record.presence, '1'))
    if len(children):
        evaluation[0].ContentSequence = children
    return evaluation
