"""Small DICOM files and the shared example data."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

_SIBLING = Path(__file__).resolve().parents[1].parent / 'shared'


@pytest.fixture(scope='session')
def shared_data() -> Path:
    """The folder of example data that is not part of the repository."""
    folder = Path(os.environ.get('UNSCT_SHARED', _SIBLING)) / 'data'
    if not folder.is_dir():
        pytest.skip('no shared example data (set UNSCT_SHARED)')
    return folder


@pytest.fixture
def make_dicom(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes an uncompressed DICOM image with the given header."""

    def make(stored: np.ndarray, bits: int | None = None, **header: Any) -> Path:
        dataset = Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.SOPClassUID = SecondaryCaptureImageStorage
        dataset.SOPInstanceUID = generate_uid()
        dataset.SamplesPerPixel = 1
        dataset.PhotometricInterpretation = 'MONOCHROME2'
        dataset.Rows, dataset.Columns = stored.shape
        dataset.BitsAllocated = stored.dtype.itemsize * 8
        dataset.BitsStored = bits or dataset.BitsAllocated
        dataset.HighBit = dataset.BitsStored - 1
        dataset.PixelRepresentation = int(stored.dtype.kind == 'i')
        content = stored.tobytes()
        dataset.PixelData = content + b'\0' * (len(content) % 2)
        dataset['PixelData'].VR = 'OW' if stored.dtype.itemsize > 1 else 'OB'
        for keyword, value in header.items():
            if value is None:
                del dataset[keyword]
            else:
                setattr(dataset, keyword, value)
        path = tmp_path / f'image_{len(list(tmp_path.iterdir()))}.dcm'
        dataset.save_as(path, enforce_file_format=True)
        return path

    return make
