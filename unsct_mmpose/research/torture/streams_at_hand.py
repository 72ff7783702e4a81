"""Streams of encodings that no installed library can write, and the values that they hold.

High-Throughput JPEG 2000 without loss, written by OpenJPH 0.26.3 (imagecodecs 2026.3.6), which
chose the progression RPCL.
"""

from __future__ import annotations

import base64

import numpy as np
from numpy.typing import NDArray

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
