# UNSCT-HRNet without spatial relationship fusion (Table 3).
_base_ = '../hrnet/unsct-hrnet.py'
model = dict(
    backbone=dict(extra=dict(stage4=dict(multiscale_output=False))),
    neck=None,
    head=dict(intermediate_weight=0.0, **_base_.bare_head),
)
