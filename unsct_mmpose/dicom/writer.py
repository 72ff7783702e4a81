"""Writing a simulated radiograph: Digital X-Ray Image, For Presentation (PS3.3, A.26)."""

from __future__ import annotations

import math
import os
from io import BytesIO
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, Sequence, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    generate_uid,
)
from pydicom.valuerep import format_number_as_ds

from unsct_mmpose.files import replace_file

from .radiograph import RadiographError
from .spacing import check_magnification, check_spacing

PELVIS = ('816092008', 'Pelvis')
"""SNOMED CT code of context group 4."""

AP = ('399348003', 'antero-posterior')
"""SNOMED CT code of context group 4010."""

_IMPLEMENTATION_UID = generate_uid(entropy_srcs=['unsct_mmpose', 'implementation'])
_DATE, _TIME = '20200101', '120000'


def write_radiograph(
    path: str | os.PathLike[str],
    pixels: NDArray[np.unsignedinteger[Any]],
    *,
    spacing_xy_mm: tuple[float, float],
    magnification: float,
    source_detector_mm: float,
    patient_id: str,
    uid_seed: str,
    bits_stored: int = 12,
    photometric: Literal['MONOCHROME2', 'MONOCHROME1'] = 'MONOCHROME2',
    pixel_spacing: Literal['detector', 'patient'] | None = None,
    patient_sex: Literal['M', 'F', 'O', ''] = '',
    description: str = '',
) -> None:
    """Write an AP view of a pelvis that shows no person; the same arguments give the same bytes.

    SyntheticData, SeriesDescription and ImageComments say that no person was imaged.

    Args:
        path: the file to write; it appears whole or not at all, in a folder that exists.
        pixels: ``(H, W)`` display values, bone bright, below ``2**bits_stored``. For MONOCHROME1
            the file holds them inverted, so that both read back alike.
        spacing_xy_mm: width and height of a pixel at the detector.
        magnification: size on the detector over size at the bone.
        source_detector_mm: from the focal spot to the detector.
        patient_id: pseudonym; never a real identity.
        uid_seed: text from which study, series and instance get their identifiers; one seed for
            each image.
        bits_stored: 8 to 16; they are stored in 16 bits.
        photometric: how grey values are stored.
        pixel_spacing: also write PixelSpacing, at the detector or calibrated at the patient.
        patient_sex: sex of the patient, or empty.
        description: how the image came about, in words.

    Raises:
        ValueError: an argument is out of range.
        RadiographError: the file cannot be written.
    """
    dataset = Dataset()
    stored = _stored_pixels(pixels, bits_stored, photometric)
    _add_identity(dataset, patient_id, patient_sex, uid_seed)
    _add_acquisition(dataset, description)
    _add_geometry(dataset, spacing_xy_mm, magnification, source_detector_mm, pixel_spacing)
    _add_pixels(dataset, stored, bits_stored, photometric)
    try:
        replace_file(path, _encode(dataset))
    except OSError as error:
        raise RadiographError(path, f'it cannot be written ({error.strerror})') from None


def _stored_pixels(
    pixels: NDArray[np.unsignedinteger[Any]], bits_stored: int, photometric: str
) -> NDArray[np.uint16]:
    """Return what the file stores, or say what is wrong with the arguments."""
    if photometric not in ('MONOCHROME1', 'MONOCHROME2'):
        raise ValueError(f'photometric must be MONOCHROME1 or MONOCHROME2, not {photometric!r}')
    if not 8 <= bits_stored <= 16:
        raise ValueError(f'bits_stored must lie between 8 and 16, not {bits_stored!r}')
    if pixels.ndim != 2 or not pixels.size or pixels.dtype.kind != 'u':
        raise ValueError(
            f'pixels must be an (H, W) array of unsigned integers, '
            f'not {pixels.shape} of {pixels.dtype}'
        )
    if max(pixels.shape) >= 2**16:
        raise ValueError(f'DICOM ends at 65535 rows and columns, not {pixels.shape}')
    white = 2**bits_stored - 1
    if int(pixels.max()) > white:
        raise ValueError(f'pixels reach {int(pixels.max())}, but {bits_stored} bits end at {white}')
    stored = pixels.astype('<u2')
    return white - stored if photometric == 'MONOCHROME1' else stored


def _add_identity(dataset: Dataset, patient_id: str, sex: str, uid_seed: str) -> None:
    """Fill the patient, study, series and SOP common modules; identifiers come from the seed."""
    dataset.SpecificCharacterSet = 'ISO_IR 192'
    dataset.PatientName = dataset.PatientBirthDate = ''
    dataset.PatientID, dataset.PatientSex = patient_id, sex
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
    dataset.SyntheticData = 'YES'
    dataset.SeriesDescription = 'SYNTHETIC'
    dataset.ImageComments = 'Synthetic image: no patient, not for clinical use.'


def _add_acquisition(dataset: Dataset, description: str) -> None:
    """Fill the equipment, DX series, anatomy, positioning, detector and context modules."""
    dataset.Modality = 'DX'
    dataset.PresentationIntentType = 'FOR PRESENTATION'
    dataset.ImageType = ['DERIVED', 'PRIMARY', '']
    dataset.Manufacturer = 'unsct_mmpose'
    dataset.BodyPartExamined = 'PELVIS'
    dataset.AnatomicRegionSequence = Sequence([_code_item(*PELVIS)])
    dataset.ViewPosition = 'AP'
    dataset.ViewCodeSequence = Sequence([_code_item(*AP)])
    dataset.ViewCodeSequence[0].ViewModifierCodeSequence = Sequence()
    dataset.ImageLaterality = 'B'
    dataset.PatientOrientation = ['L', 'F']
    dataset.AcquisitionContextSequence = Sequence()
    dataset.DetectorType = ''
    dataset.PositionerType = 'NONE'
    if description:
        dataset.DerivationDescription = description


def _add_geometry(
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


def _add_pixels(
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


def _encode(dataset: Dataset) -> bytes:
    """Return the bytes of the file."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = _IMPLEMENTATION_UID
    meta.ImplementationVersionName = 'UNSCT_MMPOSE'
    dataset.file_meta = meta
    buffer = BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()
