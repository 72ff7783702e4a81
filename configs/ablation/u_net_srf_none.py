# UNSCT-U-Net without spatial relationship fusion (Table 3).
_base_ = '../u_net/unsct-u_net.py'
model = dict(backbone=dict(type='UNet'), head=dict(intermediate_weight=0.0))
