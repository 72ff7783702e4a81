# Spatial relationship fusion behind a U-Net.
_base_ = '../u_net/unsct-u_net.py'
model = dict(
    neck=dict(type='SRFNeck', in_channels=(_base_.u_net_channels,)),
    head=dict(intermediate_weight=0.2),
)
