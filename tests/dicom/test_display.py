from io import BytesIO

import numpy as np
import pytest
from pydicom import Dataset, Sequence, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.pixels import apply_modality_lut
from pydicom.pixels import apply_voi_lut as pydicom_voi
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian

from unsct_mmpose.dicom.display import apply_modality, apply_voi, find_levels, robust_window

SIGNED = np.arange(-2048, 2048)
UNSIGNED = np.arange(4096)
ONES = np.ones(4096, dtype=np.int64)


def _header(signed=False, bits=12, **elements):
    dataset = Dataset()
    dataset.PhotometricInterpretation = 'MONOCHROME2'
    dataset.BitsStored = bits
    dataset.PixelRepresentation = int(signed)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def _table(entries, first, bits, data, as_bytes=False):
    item = Dataset()
    item.LUTDescriptor = [entries, first, bits]
    item.LUTData = np.asarray(data, dtype='<u2').tobytes() if as_bytes else list(map(int, data))
    item['LUTData'].VR = 'OW' if as_bytes else 'US'
    return Sequence([item])


def _pydicom_display(values, header, low, high):
    """pydicom's own windowing, mapped from its output range to [0, 1]."""
    shown = pydicom_voi(values, header).astype(np.float64)
    return (shown - low) / (high - low)


@pytest.mark.parametrize(
    'stored',
    [
        np.array([[0, 5], [5, 255]], dtype=np.uint8),
        np.array([[-3, 5], [5, 255]], dtype=np.int16),
        np.array([[0, 5], [5, 2**31]], dtype=np.uint32),
        np.array([[0.25, 5], [5, -1e9]], dtype=np.float32),
    ],
)
def test_levels_and_positions_rebuild_the_image(stored):
    levels = find_levels(stored)
    np.testing.assert_array_equal(levels.apply(levels.values), stored.astype(np.float32))
    np.testing.assert_array_equal(
        levels.counts, [(stored == value).sum() for value in levels.values]
    )
    assert (np.diff(levels.values) > 0).all()


@pytest.mark.parametrize('slope, intercept', [(1, 0), (0.684, 200), (-2, -1024.5)])
def test_rescaling_agrees_with_pydicom(slope, intercept):
    header = _header(RescaleSlope=slope, RescaleIntercept=intercept)
    expected = apply_modality_lut(SIGNED, header)
    np.testing.assert_allclose(apply_modality(SIGNED.astype(float), header), expected)


@pytest.mark.parametrize('as_bytes', [False, True])
@pytest.mark.parametrize('signed, first', [(False, 100), (True, -50)])
def test_a_modality_table_agrees_with_pydicom(as_bytes, signed, first):
    data = np.random.default_rng(0).integers(0, 2**16, 256)
    header = _header(signed, ModalityLUTSequence=_table(256, first, 16, data, as_bytes))
    values = SIGNED if signed else UNSIGNED
    expected = apply_modality_lut(values, header)
    np.testing.assert_array_equal(apply_modality(values.astype(float), header), expected)


def test_a_negative_start_of_a_table_may_be_stored_without_sign():
    data = np.arange(100)
    for first in (-50, 2**16 - 50):
        header = _header(True, ModalityLUTSequence=_table(100, first, 16, data))
        values = np.array([-60.0, -50.0, 0.0, 49.0, 80.0])
        np.testing.assert_array_equal(apply_modality(values, header), [0, 0, 50, 99, 99])


def test_without_rescaling_the_values_stay():
    np.testing.assert_array_equal(apply_modality(SIGNED.astype(float), Dataset()), SIGNED)


@pytest.mark.parametrize('function', ['LINEAR', 'LINEAR_EXACT', 'SIGMOID'])
@pytest.mark.parametrize('signed', [False, True])
@pytest.mark.parametrize('centre, width', [(2048, 4096), (1000.5, 1500), (0, 800), (700, 300)])
def test_windows_agree_with_pydicom(function, signed, centre, width):
    header = _header(signed, WindowCenter=centre, WindowWidth=width, VOILUTFunction=function)
    values = SIGNED if signed else UNSIGNED
    low, high = (-2048, 2047) if signed else (0, 4095)
    shown, source = apply_voi(values.astype(float), ONES, header)
    assert source.startswith(f'{function} window of the file')
    expected = _pydicom_display(values, header, low, high)
    np.testing.assert_allclose(shown, expected, atol=1e-9)


@pytest.mark.parametrize('as_bytes', [False, True])
@pytest.mark.parametrize('bits', [8, 12, 16])
def test_a_voi_table_agrees_with_pydicom(as_bytes, bits):
    entries = min(1024, 2**bits)
    data = np.random.default_rng(1).integers(0, 2**bits, entries)
    header = _header(VOILUTSequence=_table(entries, 500, bits, data, as_bytes))
    shown, source = apply_voi(UNSIGNED.astype(float), ONES, header)
    assert source == 'VOI LUT of the file'
    # pydicom 3.0 wraps values beyond a table of 8 bits; the standard repeats the last entry.
    expected = np.full(4096, data[-1])
    expected[: 500 + entries] = pydicom_voi(UNSIGNED, header)[: 500 + entries]
    np.testing.assert_allclose(shown, expected / (2**bits - 1))


def test_a_table_of_65536_entries_writes_its_length_as_zero():
    data = np.arange(2**16)[::-1]
    header = _header(VOILUTSequence=_table(0, 0, 16, data))
    shown, _ = apply_voi(UNSIGNED.astype(float), ONES, header)
    np.testing.assert_allclose(shown, 1 - UNSIGNED / 65535)


@pytest.mark.parametrize(
    'syntax, order', [(ExplicitVRLittleEndian, '<'), (ExplicitVRBigEndian, '>')]
)
def test_a_table_of_bytes_is_read_in_the_order_of_its_file(syntax, order):
    header = _header(VOILUTSequence=_table(3, 10, 16, [0, 256, 65535], as_bytes=True))
    header.VOILUTSequence[0].LUTData = np.array([0, 256, 65535], dtype=f'{order}u2').tobytes()
    header.file_meta.TransferSyntaxUID = syntax
    buffer = BytesIO()
    header.SOPClassUID = header.SOPInstanceUID = '1.2.3'
    header.save_as(buffer, enforce_file_format=True)
    buffer.seek(0)
    shown, _ = apply_voi(np.array([10.0, 11.0, 12.0]), np.ones(3, dtype=np.int64), dcmread(buffer))
    np.testing.assert_allclose(shown, [0, 256 / 65535, 1])


def test_a_window_one_wide_is_a_step():
    header = _header(WindowCenter=100, WindowWidth=1)
    values = np.array([99.0, 99.5, 100.0, 101.0])
    shown, _ = apply_voi(values, np.array([1, 0, 1, 0]), header, window=(100, 1))
    np.testing.assert_array_equal(shown, [0, 0, 1, 1])


def test_the_callers_window_wins():
    header = _header(WindowCenter=2048, WindowWidth=4096)
    shown, source = apply_voi(UNSIGNED.astype(float), ONES, header, window=(10.5, 11))
    assert source.startswith('caller')
    np.testing.assert_allclose(shown[[5, 10, 15]], [0, 0.5, 1])


@pytest.mark.parametrize(
    'centre, width', [(60000, 100), (-5000, 100), (2000, 4e6), (2000, 2), (2000, 0), (2000, -5)]
)
def test_a_window_that_does_not_fit_gives_way_to_percentiles(centre, width):
    header = _header(WindowCenter=centre, WindowWidth=width)
    shown, source = apply_voi(UNSIGNED.astype(float), ONES, header)
    assert source.startswith('percentiles')
    assert shown.min() == 0 and shown.max() == 1
    assert 0.4 < shown.mean() < 0.6


def test_the_first_window_that_fits_is_taken():
    header = _header(WindowCenter=[60000, 1000, 2000], WindowWidth=[100, 500, 500])
    _, source = apply_voi(UNSIGNED.astype(float), ONES, header)
    assert source == 'LINEAR window of the file: centre 1000, width 500'


def test_a_window_may_clip_a_wide_border():
    counts = np.where(UNSIGNED < 100, 40 * 900, 900)
    header = _header(WindowCenter=2000, WindowWidth=1000)
    _, source = apply_voi(UNSIGNED.astype(float), counts, header)
    assert source.startswith('LINEAR')


def test_values_that_do_not_count_do_not_decide():
    header = _header(WindowCenter=50, WindowWidth=100)
    counts = np.where(UNSIGNED < 100, 0, 1)
    _, source = apply_voi(UNSIGNED.astype(float), counts, header)
    assert source.startswith('percentiles')


def test_one_value_only_is_shown_black():
    shown, source = apply_voi(np.array([7.0]), np.array([9]), Dataset())
    assert shown.tolist() == [0.0] and 'one value' in source


@pytest.mark.parametrize('end', [0.0, 9000.0])
def test_a_plateau_at_either_end_takes_no_contrast(end):
    tissue = np.arange(4000.0, 5000.0)
    values = np.sort(np.append(tissue, end))
    counts = np.where(values == end, 3000, 1)
    low, high = robust_window(values, counts)
    assert 4000 <= low < 4010 and 4990 < high <= 4999


def test_a_noisy_collimator_is_a_plateau_too():
    values = np.concatenate([np.arange(0.0, 20.0), np.arange(4000.0, 5000.0)])
    counts = np.where(values < 20, 100, 1)
    assert robust_window(values, counts)[0] >= 4000


def test_values_that_no_pixel_has_do_not_shape_the_window():
    values = np.arange(1000.0)
    counts = np.ones(1000, dtype=np.int64)
    expected = robust_window(values, counts)
    padded = robust_window(np.append(-1e5, values), np.append(0, counts))
    assert padded == expected


def test_two_values_keep_both():
    assert robust_window(np.array([3.0, 8.0]), np.array([50, 50])) == (3.0, 8.0)


def test_the_robust_window_follows_a_change_of_scale():
    rng = np.random.default_rng(2)
    values = np.sort(rng.normal(size=500))
    counts = rng.integers(1, 9, 500)
    low, high = robust_window(values, counts)
    moved = robust_window(3 * values + 7, counts)
    assert moved == pytest.approx((3 * low + 7, 3 * high + 7))
    mirrored = robust_window(-values, counts)
    assert mirrored == pytest.approx((-high, -low), rel=0.02)


def test_a_few_extreme_pixels_do_not_widen_the_window():
    values = np.concatenate([[-1e6], np.arange(1000.0), [1e6]])
    counts = np.concatenate([[1], np.full(1000, 10), [1]])
    low, high = robust_window(values, counts)
    assert 0 <= low < 20 and 980 < high <= 999


def test_the_percentiles_agree_with_numpy():
    pixels = np.random.default_rng(3).integers(0, 1000, 20000)
    levels = find_levels(pixels.reshape(100, 200).astype(np.uint16))
    expected = np.percentile(pixels, [0.5, 99.5], method='inverted_cdf')
    np.testing.assert_allclose(robust_window(levels.values, levels.counts), expected)
