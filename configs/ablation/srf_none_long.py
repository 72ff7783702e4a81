# UNSCT-HRNet without spatial relationship fusion, for twice the epochs.
_base_ = './srf_long.py'
model = dict(
    backbone=dict(extra=dict(stage4=dict(multiscale_output=False))),
    neck=None,
    head=dict(intermediate_weight=0.0),
)
