"""The modules of a DICOM Digital X-Ray Image, For Presentation (PS3.3, A.26)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, Sequence
from pydicom.uid import DigitalXRayImageStorageForPresentation, generate_uid
from pydicom.valuerep import format_number_as_ds

from .spacing import check_magnification, check_spacing

BODY_PARTS = {'PELVIS': ('816092008', 'Pelvis'), 'HIP': ('29836001', 'Hip')}
"""SNOMED CT codes of context group 4."""

VIEWS = {'AP': ('399348003', 'antero-posterior'), 'PA': ('272479007', 'postero-anterior')}
"""SNOMED CT codes of context group 4010."""

_DATE = '20200101'
_TIME = '120000'


def add_identity(dataset: Dataset, patient_id: str, name: str, sex: str, uid_seed: str) -> None:
    """Fill the patient, study, series and SOP common modules; identifiers come from the seed."""
    dataset.SpecificCharacterSet = 'ISO_IR 192'
    dataset.PatientName = name
    dataset.PatientID = patient_id
    dataset.PatientBirthDate = ''
    dataset.PatientSex = sex
    dataset.StudyInstanceUID = generate_uid(entropy_srcs=[uid_seed, 'study'])
    dataset.SeriesInstanceUID = generate_uid(entropy_srcs=[uid_seed, 'series'])
    dataset.SOPInstanceUID = generate_uid(entropy_srcs=[uid_seed, 'instance'])
    dataset.SOPClassUID = DigitalXRayImageStorageForPresentation
    dataset.StudyDate = dataset.SeriesDate = dataset.ContentDate = _DATE
    dataset.StudyTime = dataset.SeriesTime = dataset.ContentTime = _TIME
    dataset.AcquisitionDate, dataset.AcquisitionTime = _DATE, _TIME
    dataset.AccessionNumber = dataset.ReferringPhysicianName = ''
    dataset.StudyID = '1'
    dataset.SeriesNumber = dataset.InstanceNumber = 1


def add_acquisition(
    dataset: Dataset, body_part: str, view: str, laterality: str, description: str
) -> None:
    """Fill the equipment, DX series, anatomy, positioning, detector and context modules."""
    if body_part not in BODY_PARTS or view not in VIEWS or laterality not in tuple('LRBU'):
        raise ValueError(
            f'unknown body part, view or laterality: {body_part!r}, {view!r}, {laterality!r}; use '
            f'{" or ".join(BODY_PARTS)}, {" or ".join(VIEWS)}, and L, R, B or U'
        )
    dataset.Modality = 'DX'
    dataset.PresentationIntentType = 'FOR PRESENTATION'
    dataset.ImageType = ['DERIVED', 'PRIMARY', '']
    dataset.Manufacturer = 'unsct_mmpose'
    dataset.BodyPartExamined = body_part
    dataset.AnatomicRegionSequence = Sequence([_code_item(*BODY_PARTS[body_part])])
    dataset.ViewPosition = view
    dataset.ViewCodeSequence = Sequence([_code_item(*VIEWS[view])])
    dataset.ViewCodeSequence[0].ViewModifierCodeSequence = Sequence()
    dataset.ImageLaterality = laterality
    dataset.PatientOrientation = ['L', 'F']
    dataset.AcquisitionContextSequence = Sequence()
    dataset.DetectorType = ''
    dataset.PositionerType = 'NONE'
    if description:
        dataset.DerivationDescription = description


def mark_synthetic(dataset: Dataset) -> None:
    """Say, where machines and where people look, that no person was imaged."""
    dataset.SyntheticData = 'YES'
    dataset.SeriesDescription = 'SYNTHETIC'
    dataset.ImageComments = 'Synthetic image: no patient, not for clinical use.'


def add_geometry(
    dataset: Dataset,
    spacing_xy_mm: tuple[float, float],
    magnification: float,
    source_detector_mm: float,
    pixel_spacing: str | None,
) -> None:
    """Fill pixel spacings (row, column = y, x), magnification and distances."""
    x_mm, y_mm = check_spacing(spacing_xy_mm)
    factor = check_magnification(magnification)
    if not (math.isfinite(source_detector_mm) and source_detector_mm > 0):
        raise ValueError(f'source_detector_mm must be positive, not {source_detector_mm!r}')
    if pixel_spacing not in (None, 'detector', 'patient'):
        raise ValueError(f"pixel_spacing must be None, 'detector' or 'patient': {pixel_spacing!r}")
    dataset.ImagerPixelSpacing = [_decimal(y_mm), _decimal(x_mm)]
    dataset.EstimatedRadiographicMagnificationFactor = _decimal(factor)
    dataset.DistanceSourceToDetector = _decimal(source_detector_mm)
    dataset.DistanceSourceToPatient = _decimal(source_detector_mm / factor)
    if pixel_spacing == 'detector':
        dataset.PixelSpacing = [_decimal(y_mm), _decimal(x_mm)]
    elif pixel_spacing == 'patient':
        dataset.PixelSpacing = [_decimal(y_mm / factor), _decimal(x_mm / factor)]
        dataset.PixelSpacingCalibrationType = 'GEOMETRY'
        dataset.PixelSpacingCalibrationDescription = 'divided by the magnification'


def add_pixels(
    dataset: Dataset, stored: NDArray[np.uint16], bits_stored: int, photometric: str
) -> None:
    """Fill the image pixel, DX image and VOI LUT modules; the window shows the whole range."""
    inverted = photometric == 'MONOCHROME1'
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = photometric
    dataset.Rows, dataset.Columns = stored.shape
    dataset.BitsAllocated = 16
    dataset.BitsStored = bits_stored
    dataset.HighBit = bits_stored - 1
    dataset.PixelRepresentation = 0
    dataset.BurnedInAnnotation = 'NO'
    dataset.PixelIntensityRelationship = 'LOG'
    # -1: higher stored values mean less radiation on the detector, that is, bone.
    dataset.PixelIntensityRelationshipSign = 1 if inverted else -1
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = '0', '1', 'US'
    dataset.WindowCenter, dataset.WindowWidth = str(2 ** (bits_stored - 1)), str(2**bits_stored)
    dataset.VOILUTFunction = 'LINEAR'
    dataset.LossyImageCompression = '00'
    dataset.PresentationLUTShape = 'INVERSE' if inverted else 'IDENTITY'
    dataset.PixelData = stored.tobytes()
    dataset['PixelData'].VR = 'OW'


def _code_item(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue = value
    item.CodingSchemeDesignator = 'SCT'
    item.CodeMeaning = meaning
    return item


def _decimal(value: float) -> str:
    """Return a decimal string (VR DS) of at most 16 characters."""
    return str(format_number_as_ds(float(value)))
