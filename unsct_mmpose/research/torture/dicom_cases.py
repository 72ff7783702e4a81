"""DICOM files of every encoding, with known pixels; what tests and torture share."""

from __future__ import annotations

import base64
import struct
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
    SecondaryCaptureImageStorage,
    generate_uid,
)

SYNTAXES: dict[str, UID] = {
    'implicit': ImplicitVRLittleEndian,
    'explicit': ExplicitVRLittleEndian,
    'big': ExplicitVRBigEndian,
    'deflated': DeflatedExplicitVRLittleEndian,
    'rle': RLELossless,
    'jpeg': JPEGBaseline8Bit,
    'jpegls': JPEGLSLossless,
    'j2k': JPEG2000Lossless,
}
_COMPRESSED = ('rle', 'jpeg', 'jpegls', 'j2k')
_NATIVE = tuple(uid for name, uid in SYNTAXES.items() if name not in _COMPRESSED)


def encode(stored: np.ndarray, syntax: str) -> bytes:
    """Encode ``(H, W)`` or ``(H, W, 3)`` values as one stream, all bits of their type."""
    if syntax == 'rle':
        return rle_frame(stored)
    if syntax == 'jpeg':
        import cv2

        done, content = cv2.imencode('.jpg', stored, [cv2.IMWRITE_JPEG_QUALITY, 100])
        assert done
        return content.tobytes()
    if syntax == 'jpegls':
        import jpeg_ls

        unsigned = stored.view(f'u{stored.dtype.itemsize}')
        return bytes(jpeg_ls.encode_array(np.ascontiguousarray(unsigned)))
    from openjpeg.utils import encode_array

    bits = stored.dtype.itemsize * 8
    space = 1 if stored.ndim == 3 else 2
    return bytes(encode_array(stored, bits_stored=bits, photometric_interpretation=space))


def rle_frame(stored: np.ndarray, surplus: int = 0, missing: int = 0) -> bytes:
    """Encode an RLE frame; some segments may hold too much or too little."""
    planes = stored[..., None] if stored.ndim == 2 else stored
    segments = []
    for sample in range(planes.shape[-1]):
        plane = np.ascontiguousarray(planes[..., sample])
        width = plane.dtype.itemsize
        values = plane.view(np.uint8).reshape(-1, width)
        for byte in range(width - 1, -1, -1):
            data = values[:, byte].tobytes() + bytes(surplus)
            segments.append(_pack_bits(data[: len(data) - missing]))
    offsets, position = [], 64
    for segment in segments:
        offsets.append(position)
        position += len(segment)
    header = struct.pack('<16I', len(segments), *offsets, *[0] * (15 - len(offsets)))
    return header + b''.join(segments)


def _pack_bits(data: bytes) -> bytes:
    packed = bytearray()
    for start in range(0, len(data), 128):
        piece = data[start : start + 128]
        packed += bytes([len(piece) - 1]) + piece
    return bytes(packed + b'\x80' * (len(packed) % 2))


def make(
    stored: np.ndarray,
    syntax: str = 'explicit',
    *,
    bits: int | None = None,
    stream: bytes | None = None,
    pixel_data: bytes | None = None,
    uid: UID | None = None,
    **header: Any,
) -> bytes:
    """Return a DICOM file.

    Args:
        stored: ``(H, W)`` or ``(H, W, 3)`` values as they are stored.
        syntax: a key of :data:`SYNTAXES`.
        bits: BitsStored; by default all of their type.
        stream: of a compressed file, in the place of that of ``stored``.
        pixel_data: content of PixelData as it stands, in the place of anything else.
        uid: a transfer syntax that is none of these; ``stream`` or ``pixel_data`` is in it.
        **header: further elements; None takes one out.
    """
    dataset = Dataset()
    dataset.SOPClassUID = SecondaryCaptureImageStorage
    dataset.SOPInstanceUID = generate_uid(entropy_srcs=['case'])
    dataset.SamplesPerPixel = 1 if stored.ndim == 2 else 3
    dataset.PhotometricInterpretation = 'MONOCHROME2' if stored.ndim == 2 else 'RGB'
    if stored.ndim == 3:
        dataset.PlanarConfiguration = 0
    dataset.Rows, dataset.Columns = stored.shape[:2]
    dataset.BitsAllocated = stored.dtype.itemsize * 8
    dataset.BitsStored = bits or dataset.BitsAllocated
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(stored.dtype.kind == 'i')
    uid = uid or SYNTAXES[syntax]
    compressed = uid not in _NATIVE
    if pixel_data is None and compressed:
        pixel_data = encapsulate([encode(stored, syntax) if stream is None else stream])
    elif pixel_data is None:
        order = '>' if syntax == 'big' else '<'
        pixel_data = stored.astype(stored.dtype.newbyteorder(order)).tobytes()
    dataset.PixelData = pixel_data + b'\0' * (len(pixel_data) % 2)
    for keyword, value in header.items():
        if value is None:
            dataset.pop(keyword, None)
        else:
            setattr(dataset, keyword, value)
    if 'PixelData' in dataset:
        wide = stored.dtype.itemsize > 1 and not compressed
        dataset['PixelData'].VR = 'OW' if wide else 'OB'
        dataset['PixelData'].is_undefined_length = compressed
    return write(dataset, uid)


def write(dataset: Dataset, uid: UID) -> bytes:
    """Return the bytes of a file with the transfer syntax."""
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = uid
    dataset.file_meta.MediaStorageSOPClassUID = dataset.get('SOPClassUID')
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.get('SOPInstanceUID')
    buffer = BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


HTJ2K_UIDS = tuple(f'1.2.840.10008.1.2.4.{number}' for number in (201, 202, 203))


def htj2k_streams() -> dict[int, tuple[NDArray[np.int64], bytes]]:
    """Return for 8 and 16 bits the values ``(24, 40)`` and their stream."""
    y, x = np.mgrid[:24, :40]
    return {
        8: ((6 * x + y * y // 3) % 256, base64.b85decode(_OF_8_BITS)),
        16: ((1000 * x + 37 * y * y) % 65536, base64.b85decode(_OF_16_BITS)),
    }


_OF_8_BITS = (
    b'|4;u>04YEK0000e0000O00000000000000e0000O0000000000009R90sl|{2mk^A00092QUDA90ssL31q1{@0sm'
    b'Y86Cg-XP*6}%P*6}%P*6}vNJ#%=02crOPjF>!N>E53R%LP^FfKASE;BCwkN^q*00001rvL%}lfWjWi~vG30KgK!6'
    b'F?Gx<NybB076v(fph@u0S9ydz!Sg~5Cp&hF_-'
    b'{Cv;ez__5eioH2{PB03tL1z!lI1s{mR+By=Us`hWp!KNtb{SpdmQ8fh<lZW_!0$^;8!KbVH}p}GKt@j3)DCW*cP5'
    b'MEj`4d4vQ0KgXH0d?>NzG@x>u+fW0bkgibvluKH?d^bK0e7e@B3#0J0RMmge+MQ4&TOtK1Rs3B1N6w8T9~A32#v}'
    b'&@cjS)hXDuxlyMFSNDUP#RIRcBaXl2CP09B+2N2KJOlVwRLG0~<O%04g(2fj46I}qnF6IGxBm(L{lH`4S^SS5q`+'
    b'R@TN1^b(=lA>lJYQ9xkLUkCo}WwndCo2=@SZfdho(&p_yD#75$FO3#iv4g0p925{qXqsdVGCy53k3Ex5tME&dkhQ'
    b'KEiuLKF$Y+2L}fSb7toMUU4In-'
    b'@LN$M8^_ezE5R<hrb9Hl4ry{5J0A00e*k}{P*+s*Wb_Y@Av<G{{Me}|6Xx~0T2n=A?PAcc!6SuJs7|)RssLn'
)
_OF_16_BITS = (
    b'|4;u>04YEK0000e0000O00000000000000e0000O0000000000009pH0sl|{2mk^A000XAQUDA90ssL31q1{@0sm'
    b'Y86Cj9?kdTm&kdTm&kdTmwh=~7W02crOPjF>!N>E53R%LP^FfKASE;BCwkN^q*00002D*yrilfVEf04Zid%>@B;0'
    b'KfnfKmZj0bNm8_bO2gct?L0IGyuQ=6Tko!U~|mz0)lh^Ex9FI@&GA7_BH^(02Ocm1<-'
    b'(`Bk3R=)DPqfb^xDz@{^x@^2sNkeDaAi><pcuGwciifL|xMlph$tF}wi402YJ*0ebk7AsLb(8ImCx@5*{}f_DHXC'
    b'r_T7oSdAToSdAToSdAToSdAToIH7Qa&mHVa&mHVa&mHVa&mHV5}11un0peKdlHy?5}11un0peKdlHy?5}11unEL<'
    b'$000CK003k4`t|zDj2IyR#t1+$xB<WbEvNtm`Yg^n@4WNQJMX;n&O7hC^Zb7bdU|?#a)NsRNivxvNs=T<k|arzBu'
    b'SDaNs=T<k|arzBuSDaNs=VVWRfIFk|arzBuSDaNs=T<k|arzBuSDaNs=T<k|dK!k|arzBuSDaNs=T<k|arzBuSDa'
    b'Ns=T<k|arzOeRT^BuSDaNs=T<k|arzBuSDaNs=T<k|arzBuO%vBuSDaNs=T<k|arzBuSDaNs=T<k|arzBuSDa0ia'
    b'0$Xc7RL1b`+1ph*B|5&)V6fF=Q;NdRaP0Gb4VCIO&H0B8~bngoC*0ia0$Xc7RL1c3el2mpc*fCwQ70D=&J2q6dn$'
    b'Mx&=>-FpP>-CrQ>-FpP>-FpPm-XxQ>-FpP>-CrQ>-FpP>-FpPm*g?I3~oakkjCUOw*>#$'
)
