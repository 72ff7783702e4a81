# The paper's network: spatial relationship fusion at every stage's entry (Table 3).
_base_ = '../hrnet/unsct-hrnet.py'
model = dict(
    backbone=dict(type='SRFHRNet', extra=dict(stage4=dict(multiscale_output=False))),
    neck=None,
    head=dict(**_base_.bare_head),
)
