# Spatial relationship fusion behind a stock HRNet instead of inside it (Table 3).
_base_ = '../hrnet/unsct-hrnet.py'
model = dict(
    backbone=dict(type='HRNet', extra=dict(stage4=dict(multiscale_output=True))),
    neck=dict(type='SRFNeck', in_channels=(32, 64, 128, 256)),
)
