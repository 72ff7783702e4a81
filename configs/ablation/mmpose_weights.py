# MMPose's HRNet and heatmap head with the initial weights that MMPose draws.
_base_ = '../hrnet/ori-hrnet.py'
model = dict(
    backbone=dict(
        init_cfg=[
            dict(type='Normal', std=0.001, layer=['Conv2d']),
            dict(type='Constant', val=1, layer=['_BatchNorm', 'GroupNorm']),
        ]
    ),
    head=dict(init_cfg=None),
)
