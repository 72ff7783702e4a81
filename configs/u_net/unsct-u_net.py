# The paper's fields, losses and absence decision on the U-Net of ../peers/u_net.py; no SRF.
_base_ = '../hrnet/unsct-hrnet.py'
model = dict(
    backbone=dict(_delete_=True, **_base_.u_net),
    head=dict(in_channels=_base_.u_net_channels, intermediate_weight=0.0),
)
