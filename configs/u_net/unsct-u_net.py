# The paper's fusion, fields, losses and absence decision on the U-Net of ../peers/u_net.py.
_base_ = '../hrnet/unsct-hrnet.py'
model = dict(
    backbone=dict(_delete_=True, **dict(_base_.u_net, type='SRFUNet')),
    neck=None,
    head=dict(in_channels=_base_.u_net_channels),
)
