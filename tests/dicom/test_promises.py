"""Header and stream: what they promise is compared, masked, or refused before it costs anything."""

import os
import resource
import struct
import subprocess
import sys
import time
import zlib
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from pydicom import dcmread

from unsct_mmpose.dicom import RadiographError, isolation, radiograph_from_bytes
from unsct_mmpose.dicom.decode import DecodeError, decode_frame, parse_dicom
from unsct_mmpose.dicom.isolation import VARIABLES, Limits, current_limits
from unsct_mmpose.research.torture import dicom_cases as cases

RAMP = np.arange(96 * 32, dtype=np.uint16).reshape(32, 96)
GREY = (RAMP // 12).astype(np.uint8)
COLOUR = np.stack([GREY, GREY[::-1], GREY[:, ::-1]], axis=-1)
WHOLE = dict(WindowCenter=2048, WindowWidth=4096)


def decode(content):
    return decode_frame(parse_dicom(content))


def refused(content, words):
    with pytest.raises(RadiographError, match=words) as caught:
        radiograph_from_bytes(content, 'x.dcm')
    assert str(caught.value).isprintable()
    return str(caught.value)


@pytest.mark.parametrize('syntax', cases.SYNTAXES)
@pytest.mark.parametrize('dtype', [np.uint8, np.uint16, np.int16])
def test_every_encoding_gives_back_the_stored_values(syntax, dtype):
    if syntax == 'jpeg' and dtype != np.uint8:
        pytest.skip('JPEG Baseline has 8 bits')
    stored = GREY.astype(dtype) if dtype == np.uint8 else (RAMP.astype(int) - 1500).astype(dtype)
    if dtype == np.uint16:
        stored = RAMP * 21  # to the highest bit, which JPEG-LS encodes as many as it sees
    values, white, notes = decode(cases.make(stored, syntax))
    assert white is None and values.dtype == dtype
    assert notes == ()
    np.testing.assert_allclose(values, stored, atol=1 if syntax == 'jpeg' else 0)


@pytest.mark.parametrize('syntax', ['explicit', 'rle', 'jpeg', 'jpegls', 'j2k'])
def test_colour_is_luma_in_every_encoding(syntax):
    expected = decode(cases.make(COLOUR))[0]
    header = dict(PhotometricInterpretation='YBR_FULL') if syntax == 'jpeg' else {}
    stored = COLOUR[..., ::-1] if syntax == 'jpeg' else COLOUR  # OpenCV's order
    got, white, _ = decode(cases.make(stored, syntax, **header))
    assert white == 255
    assert np.abs(got - expected).mean() < (4 if syntax == 'jpeg' else 1e-9)


@pytest.mark.parametrize('syntax', ['rle', 'jpeg', 'jpegls', 'j2k'])
@pytest.mark.parametrize('shape', [(96, 32), (33, 33), (64, 48), (33, 96), (32, 95)])
def test_a_stream_of_another_shape_is_refused(syntax, shape):
    if syntax == 'rle' and shape[0] * shape[1] == GREY.size:
        return  # says bytes, not a shape: see the next test
    other = cases.encode(np.resize(GREY, shape), syntax)
    text = refused(cases.make(GREY, syntax, stream=other), 'x.dcm')
    if syntax != 'rle':
        assert f'{shape[1]} x {shape[0]} pixels' in text and '96 x 32' in text


def test_an_rle_frame_of_as_many_pixels_cannot_be_told_by_its_shape():
    # the limit of what the encoding says; as many bytes are as many bytes
    other = cases.encode(GREY.reshape(96, 32), 'rle')
    assert decode(cases.make(GREY, 'rle', stream=other))[0].shape == (32, 96)


@pytest.mark.parametrize('change', [dict(surplus=1), dict(surplus=96), dict(missing=1)])
def test_an_rle_segment_of_another_length_is_refused(change):
    stream = cases.rle_frame(RAMP, **change)
    refused(cases.make(RAMP, 'rle', stream=stream), 'RLE segment holds')


def test_an_rle_frame_with_other_segments_is_refused():
    refused(cases.make(RAMP, 'rle', stream=cases.rle_frame(GREY)), '1 RLE segments')


@pytest.mark.parametrize('syntax', ['jpeg', 'jpegls', 'j2k'])
def test_other_components_are_refused(syntax):
    header = dict(PhotometricInterpretation='YBR_FULL') if syntax == 'jpeg' else {}
    refused(cases.make(GREY, syntax, stream=cases.encode(COLOUR, syntax)), '3 components')
    stream = cases.encode(GREY, syntax)
    refused(cases.make(COLOUR, syntax, stream=stream, **header), '1 components')


@pytest.mark.parametrize('syntax', ['jpegls', 'j2k'])
def test_more_bits_than_are_allocated_are_refused(syntax):
    refused(cases.make(GREY, syntax, stream=cases.encode(RAMP * 21, syntax)), '16 bits, but BitsA')


@pytest.mark.parametrize('columns', [95, 97, 64, 48])
@pytest.mark.parametrize('syntax', ['implicit', 'explicit', 'big', 'deflated'])
def test_raw_pixels_of_another_shape_are_refused(syntax, columns):
    refused(cases.make(RAMP, syntax, Columns=columns), 'longer than|cut off')


def test_a_sheared_picture_with_a_black_border_is_not_taken_for_a_padded_one():
    dark = RAMP.copy()
    dark[-2:] = 0
    refused(cases.make(dark, Columns=95), 'longer than')
    assert decode(cases.make(RAMP, pixel_data=RAMP.tobytes() + bytes(6)))[2]


@pytest.mark.parametrize('rows, columns', [(65535, 96), (32, 65535), (65535, 65535)])
@pytest.mark.parametrize('syntax', ['jpeg', 'jpegls', 'j2k'])
def test_a_stream_that_promises_too_much_costs_nothing(syntax, rows, columns, monkeypatch):
    patch = patch_siz if syntax == 'j2k' else patch_sof
    stream = patch(cases.encode(GREY, syntax), rows=rows, columns=columns)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    monkeypatch.setattr('unsct_mmpose.dicom.decode.decode', None)  # no decoder sees it
    refused(cases.make(GREY, syntax, stream=stream), f'{columns} x {rows}')
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


@pytest.mark.parametrize('syntax', cases.SYNTAXES)
def test_a_header_that_promises_too_much_is_refused_unread(syntax):
    refused(cases.make(GREY, syntax, Rows=65535, Columns=65535), 'UNSCT_MAX_PIXELS')


def test_header_and_stream_that_agree_on_too_little_data_are_refused():
    stream = patch_sof(cases.encode(GREY, 'jpeg'), rows=8000, columns=8000)
    content = cases.make(GREY, 'jpeg', stream=stream, Rows=8000, Columns=8000)
    refused(content, 'too short for 8000 x 8000')


@pytest.mark.parametrize('syntax', ['jpeg', 'jpegls', 'j2k', 'rle'])
@pytest.mark.parametrize('share', [0.02, 0.3, 0.6, 0.95])
def test_a_stream_that_is_cut_off_is_refused(syntax, share):
    noise = np.random.default_rng(0).integers(0, 256, (64, 96), dtype=np.uint8)
    stream = cases.encode(noise, syntax)
    refused(cases.make(noise, syntax, stream=stream[: int(len(stream) * share)]), 'cut off')


def test_an_rle_frame_that_unpacks_without_end_is_refused():
    run = bytes([129, 0]) * 2**20  # 128 MB from 2 MB
    stream = np.array([1, 64, *[0] * 14], '<u4').tobytes() + run
    refused(cases.make(GREY, 'rle', stream=stream), 'more than the 3072 bytes')


def test_a_deflated_file_that_inflates_without_end_is_refused(monkeypatch):
    monkeypatch.setenv('UNSCT_MAX_PIXELS', str(2**22))
    content = deflated_zeros(cases.make(GREY, 'deflated'), 2**28)
    assert len(content) < 2**19
    refused(content, 'deflated data are longer')


def test_a_deflated_file_that_is_cut_off_is_refused():
    refused(cases.make(RAMP, 'deflated')[:-30], 'deflated data are cut off')


# Bits that are stored, and those beside them


@pytest.mark.parametrize('syntax', [s for s in cases.SYNTAXES if s != 'jpeg'])
@pytest.mark.parametrize('sign', ['unsigned', 'signed'])
def test_bits_above_those_stored_are_no_part_of_the_image(syntax, sign):
    values = RAMP.astype(int) - (2048 if sign == 'signed' else 0)
    overlay = np.zeros(RAMP.shape, np.uint16)
    overlay[10:20, 30:60] = 0b1010 << 12
    stored = (values & 0xFFF).astype(np.uint16) | overlay
    if sign == 'signed':
        stored = stored.view(np.int16)
    content = cases.make(stored, syntax, bits=12)
    np.testing.assert_array_equal(decode(content)[0], values)


def test_bits_that_lie_higher_are_shifted():
    content = cases.make(RAMP << 4, bits=12, HighBit=15)
    np.testing.assert_array_equal(decode(content)[0], RAMP)
    signed = ((RAMP.astype(int) - 2048) << 4).astype(np.int16)
    np.testing.assert_array_equal(
        decode(cases.make(signed, bits=12, HighBit=15))[0], RAMP.astype(int) - 2048
    )


@pytest.mark.parametrize('high', [0, 10, 16, 40])
def test_a_high_bit_that_cannot_be_is_refused(high):
    refused(cases.make(RAMP, bits=12, HighBit=high), 'HighBit')


@pytest.mark.parametrize('syntax', ['rle', 'jpegls', 'j2k'])
def test_compressed_bits_that_lie_higher_are_refused(syntax):
    refused(cases.make(RAMP << 4, syntax, bits=12, HighBit=15), 'HighBit')


def test_a_sign_in_disagreement_is_reported_and_the_header_decides():
    negative = (RAMP.astype(int) - 1500).astype(np.int16)
    unsigned_stream = cases.encode(negative.view(np.uint16), 'j2k')
    values, _, notes = decode(cases.make(negative, 'j2k', stream=unsigned_stream))
    np.testing.assert_array_equal(values, negative)
    assert 'unsigned' in notes[0] and 'signed' in notes[0]
    signed_stream = cases.encode(negative, 'j2k')
    values, _, notes = decode(cases.make(RAMP, 'j2k', stream=signed_stream))
    np.testing.assert_array_equal(values, negative.view(np.uint16))
    assert 'signed' in notes[0]
    shown = radiograph_from_bytes(cases.make(RAMP, 'j2k', stream=signed_stream), 'x')
    assert 'stream is signed' in shown.provenance['notes']


@pytest.mark.parametrize(
    'header, words',
    [
        (dict(BitsStored=17), 'BitsStored'),
        (dict(BitsStored=0), 'BitsStored'),
        (dict(BitsAllocated=12), 'BitsAllocated'),
        (dict(BitsAllocated=None), 'BitsAllocated'),
        (dict(SamplesPerPixel=2), 'SamplesPerPixel'),
        (dict(SamplesPerPixel=3), 'SamplesPerPixel'),
        (dict(SamplesPerPixel=None), 'SamplesPerPixel'),
        (dict(PixelRepresentation=2), 'PixelRepresentation'),
        (dict(PixelRepresentation=None), 'PixelRepresentation'),
        (dict(NumberOfFrames=-1), 'NumberOfFrames'),
        (dict(NumberOfFrames=0), 'NumberOfFrames'),
        (dict(NumberOfFrames=2), '2 frames'),
        (dict(PhotometricInterpretation=None), 'photometric'),
        (dict(PhotometricInterpretation='RGB'), 'SamplesPerPixel'),
    ],
)
@pytest.mark.parametrize('syntax', ['explicit', 'rle', 'jpegls', 'j2k'])
def test_a_header_that_cannot_be_is_refused_by_its_element(syntax, header, words):
    refused(cases.make(RAMP, syntax, **header), words)


@pytest.mark.parametrize(
    'header',
    [
        dict(PixelRepresentation=1),
        dict(PhotometricInterpretation='YBR_FULL', BitsStored=1, HighBit=0),
        dict(PhotometricInterpretation='YBR_FULL', BitsStored=7, HighBit=6),
        dict(PhotometricInterpretation='YBR_FULL_422', BitsStored=1, HighBit=0),
    ],
)
def test_colour_that_would_leave_the_display_is_refused(header):
    pixels = COLOUR.reshape(-1, 3)[:, :2].tobytes() if '422' in str(header) else COLOUR.tobytes()
    refused(cases.make(COLOUR, pixel_data=pixels, **header), 'unsigned|not supported')


# The process in which decoders run


def j2k_options(pixels=GREY):
    dataset = dcmread(BytesIO(cases.make(pixels, 'j2k')))
    options = dict(
        rows=32, columns=96, samples_per_pixel=1, bits_allocated=8, bits_stored=8,
        pixel_representation=0, photometric_interpretation='MONOCHROME2', number_of_frames=1,
    )  # fmt: skip
    return dict(syntax=str(dataset.file_meta.TransferSyntaxUID), plugin='', options=options)


def test_one_worker_serves_many_files_and_another_follows_one_that_ended():
    stream, options = cases.encode(GREY, 'j2k'), j2k_options()
    for _ in range(3):
        found = isolation.decode('stream', stream, options, current_limits())
        np.testing.assert_array_equal(found, GREY)
        first = isolation._current.process.pid
    assert isolation._current.process.pid == first
    isolation._current.process.kill()
    isolation._current.process.wait()
    np.testing.assert_array_equal(
        isolation.decode('stream', stream, options, current_limits()), GREY
    )
    assert isolation._current.process.pid != first


def slow(monkeypatch, tmp_path, body):
    """Let workers have one more call, which does what ``body`` says."""
    (tmp_path / 'sitecustomize.py').write_text(
        'import unsct_mmpose.dicom.streams as p\nimport numpy as np, time, os\n'
        f'def f(content):\n    {body}\n    return np.zeros(1)\np.CALLS["odd"] = f\n'
    )
    monkeypatch.setattr(sys, 'path', [str(tmp_path), *sys.path])
    isolation.end_worker()
    monkeypatch.setitem(isolation.CALLS, 'odd', lambda content: np.zeros(1))


@pytest.mark.skipif(not Path('/proc/self/stat').exists(), reason='reads /proc')
def test_a_decoder_ends_with_a_process_that_is_killed_amid_its_work(tmp_path):
    (tmp_path / 'sitecustomize.py').write_text(
        'import time\nimport unsct_mmpose.dicom.streams as p\n'
        'p.CALLS["odd"] = lambda content: time.sleep(900)\n'
    )
    code = (
        'import os, signal, threading, time\n'
        'from unsct_mmpose.dicom import isolation\n'
        'from unsct_mmpose.dicom.isolation import Limits\n'
        'work = lambda: isolation.decode("odd", b"", {}, Limits(seconds=900))\n'
        'threading.Thread(target=work, daemon=True).start()\n'
        'while isolation._current is None: time.sleep(0.01)\n'
        'time.sleep(0.3)\n'
        'print(isolation._current.process.pid, flush=True)\n'
        'os.kill(os.getpid(), signal.SIGKILL)\n'
    )
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, '-c', code], env={**os.environ, 'PYTHONPATH': path},
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    until = time.monotonic() + 300
    while lives(int(done.stdout)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not lives(int(done.stdout))


def lives(pid):
    try:
        return ') Z' not in Path(f'/proc/{pid}/stat').read_text()
    except OSError:
        return False


@pytest.mark.parametrize(
    'body, limits, words',
    [
        ('time.sleep(900)', Limits(seconds=0.5), 'longer than 0.5 s .UNSCT_DECODE_SECONDS'),
        ('np.ones(2**30)', Limits(memory_mb=64), 'more than 64 MiB .UNSCT_DECODE_MEMORY_MB'),
        ('os.abort()', current_limits(), 'its decoder ended'),
        ('os._exit(0)', current_limits(), 'its decoder ended'),
    ],
)
def test_a_decoder_is_ended_at_its_limits(monkeypatch, tmp_path, body, limits, words):
    slow(monkeypatch, tmp_path, body)
    started = time.monotonic()
    with pytest.raises(isolation.DecoderError, match=words):
        isolation.decode('odd', b'', {}, limits)
    assert time.monotonic() - started < 300
    found = isolation.decode('stream', cases.encode(GREY, 'j2k'), j2k_options(), current_limits())
    np.testing.assert_array_equal(found, GREY)
    isolation.end_worker()


@pytest.mark.parametrize('trusting', [True, False])
def test_files_of_strangers_are_decoded_in_the_other_process_whatever_their_size(
    monkeypatch, trusting
):
    """Nothing but the worker decodes where a decoder of this process would end it."""
    isolation.end_worker()
    picture = cv2.imencode('.png', GREY)[1].tobytes()
    rle = cases.make(GREY, 'rle')
    expected = [radiograph_from_bytes(content).pixels for content in (picture, rle)]
    monkeypatch.setenv('UNSCT_DECODE_TRUSTING', str(int(trusting)))
    for call in ('page', 'rle'):
        monkeypatch.setitem(isolation.CALLS, call, lambda *_, **__: 1 / 0)
    for content, pixels in zip((picture, rle), expected, strict=True):
        if trusting:
            with pytest.raises(RadiographError, match='damaged'):
                radiograph_from_bytes(content)
        else:
            np.testing.assert_array_equal(radiograph_from_bytes(content).pixels, pixels)


def test_without_processes_decoding_goes_on_here(monkeypatch):
    isolation.end_worker()
    monkeypatch.setattr(isolation.sys, 'executable', '/nowhere/python')
    monkeypatch.setattr(isolation, '_cannot_start', False)
    np.testing.assert_array_equal(decode(cases.make(GREY, 'j2k'))[0], GREY)
    assert isolation._current is None and isolation._cannot_start


def test_a_forked_child_has_a_worker_of_its_own():
    import os

    content = cases.make(GREY, 'j2k')
    decode(content)
    parent = isolation._current.process.pid
    child = os.fork()
    if not child:
        good = False
        try:
            good = (decode(content)[0] == GREY).all()
            good = good and isolation._current.process.pid != parent
            isolation.end_worker()
        finally:
            os._exit(0 if good else 1)
    assert os.waitpid(child, 0)[1] == 0
    np.testing.assert_array_equal(decode(content)[0], GREY)
    assert isolation._current.process.pid == parent


def test_limits_come_from_the_environment(monkeypatch):
    for name in VARIABLES.values():
        monkeypatch.delenv(name, raising=False)
    assert current_limits() == Limits()
    monkeypatch.setenv('UNSCT_MAX_PIXELS', '1000')
    monkeypatch.setenv('UNSCT_DECODE_SECONDS', '2.5')
    assert current_limits() == Limits(pixels=1000, seconds=2.5)
    with pytest.raises(DecodeError, match='1000 are allowed'):
        decode(cases.make(GREY))
    for wrong in ('many', '-1', 'nan'):
        monkeypatch.setenv('UNSCT_MAX_PIXELS', wrong)
        with pytest.raises(ValueError, match='UNSCT_MAX_PIXELS'):
            current_limits()


def deflated_zeros(content: bytes, length: int) -> bytes:
    """Replace what follows the meta information of a deflated file by so many zeros."""
    start = content.index(b'1.2.840.10008.1.2.1.99')
    deflater = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    block = bytes(2**20)
    packed = b''.join(deflater.compress(block) for _ in range(length // len(block)))
    end = 144 + struct.unpack_from('<I', content, 140)[0]
    assert start < end
    return content[:end] + packed + deflater.flush()


def patch_sof(stream: bytes, **changes: int) -> bytes:
    """Change fields of the frame header of a JPEG or JPEG-LS stream."""
    marker = next(m for m in (b'\xff\xc0', b'\xff\xc1', b'\xff\xf7') if m in stream)
    fields = dict(precision=(4, '>B'), rows=(5, '>H'), columns=(7, '>H'), samples=(9, '>B'))
    return _patched(stream, stream.index(marker), fields, changes)


def patch_siz(stream: bytes, **changes: int) -> bytes:
    """Change fields of the SIZ segment of a JPEG 2000 codestream."""
    fields = dict(columns=(8, '>I'), rows=(12, '>I'), samples=(40, '>H'), depth=(42, '>B'))
    return _patched(stream, stream.index(b'\xff\x4f\xff\x51'), fields, changes)


def _patched(
    stream: bytes, place: int, fields: dict[str, tuple[int, str]], changes: dict[str, int]
) -> bytes:
    """Write fields, by their offset from a place and their form."""
    patched = bytearray(stream)
    for name, value in changes.items():
        offset, form = fields[name]
        struct.pack_into(form, patched, place + offset, value)
    return bytes(patched)
