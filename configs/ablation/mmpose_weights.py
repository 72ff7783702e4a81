# MMPose's HRNet and heatmap head with the initial weights that MMPose draws.
_base_ = '../hrnet/ori-hrnet.py'
model = dict(backbone=dict(init_cfg=None))
