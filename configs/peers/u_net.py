# A plain U-Net with MMPose's heatmap head.
_base_ = '../hrnet/ori-hrnet.py'
model = dict(
    backbone=dict(_delete_=True, **_base_.u_net),
    head=dict(in_channels=_base_.u_net_channels, init_cfg=None),
)
