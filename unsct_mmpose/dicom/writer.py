"""Writing a radiograph as a DICOM object: Digital X-Ray Image, For Presentation."""

from __future__ import annotations

import os
from io import BytesIO
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEG2000Lossless, RLELossless, generate_uid

from unsct_mmpose.files import replace_file

from .dx_modules import add_acquisition, add_geometry, add_identity, add_pixels, mark_synthetic
from .radiograph import RadiographError

TRANSFER_SYNTAXES: dict[str, UID] = {
    'explicit': ExplicitVRLittleEndian,
    'rle': RLELossless,
    'jpeg2000': JPEG2000Lossless,
}

_IMPLEMENTATION_UID = generate_uid(entropy_srcs=['unsct_mmpose', 'implementation'])


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
    transfer_syntax: Literal['explicit', 'rle', 'jpeg2000'] = 'explicit',
    pixel_spacing: Literal['detector', 'patient'] | None = None,
    patient_name: str = '',
    patient_sex: Literal['M', 'F', 'O', ''] = '',
    body_part: Literal['PELVIS', 'HIP'] = 'PELVIS',
    view: Literal['AP', 'PA'] = 'AP',
    laterality: Literal['L', 'R', 'B', 'U'] = 'B',
    description: str = '',
    synthetic: bool = True,
) -> None:
    """Write a radiograph; the same arguments give the same bytes.

    Uncompressed files are the fastest to write and to read; RLE takes about half the space and
    JPEG 2000 a third, at about ten times the time. Compressed bytes depend on the encoder that
    is installed.

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
        transfer_syntax: ``'explicit'`` (no compression), ``'rle'`` or ``'jpeg2000'`` (lossless).
        pixel_spacing: also write PixelSpacing, at the detector or calibrated at the patient.
        patient_name: pseudonym, such as ``'PHANTOM^0001'``.
        patient_sex: sex of the patient, or empty.
        body_part: body part examined.
        view: view position.
        laterality: sides that the image shows: left, right, both or unpaired.
        description: how the image came about, in words.
        synthetic: the image shows no person; SyntheticData, SeriesDescription and ImageComments
            then say so.

    Raises:
        ValueError: an argument is out of range.
        RadiographError: the encoder is not installed or the file cannot be written.
    """
    dataset = Dataset()
    stored = _stored_pixels(pixels, bits_stored, photometric)
    add_identity(dataset, patient_id, patient_name, patient_sex, uid_seed)
    add_acquisition(dataset, body_part, view, laterality, description)
    if synthetic:
        mark_synthetic(dataset)
    add_geometry(dataset, spacing_xy_mm, magnification, source_detector_mm, pixel_spacing)
    add_pixels(dataset, stored, bits_stored, photometric)
    try:
        content = _encode(dataset, transfer_syntax)
    except (RuntimeError, NotImplementedError) as error:
        raise RadiographError(path, f'it cannot be encoded as {transfer_syntax}: {error}') from None
    try:
        replace_file(path, content)
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


def _encode(dataset: Dataset, transfer_syntax: str) -> bytes:
    """Return the bytes of the file."""
    if transfer_syntax not in TRANSFER_SYNTAXES:
        known = ', '.join(sorted(TRANSFER_SYNTAXES))
        raise ValueError(f'unknown transfer syntax {transfer_syntax!r}; choose from {known}')
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = _IMPLEMENTATION_UID
    meta.ImplementationVersionName = 'UNSCT_MMPOSE'
    dataset.file_meta = meta
    target = TRANSFER_SYNTAXES[transfer_syntax]
    if target != ExplicitVRLittleEndian:
        dataset.compress(target, generate_instance_uid=False)
    buffer = BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()
