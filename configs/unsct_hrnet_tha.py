# UNSCT-HRNet at the paper's setting, with spatial relationship fusion behind a stock HRNet-W32.
_base_ = './_base_/budget/gpu.py'

model = dict(
    type='TopdownPoseEstimator',
    data_preprocessor=_base_.data_preprocessor,
    backbone=dict(
        type='HRNet',
        in_channels=3,
        extra=_base_.hrnet_branches,
        # ImageNet weights of MMPose load here: init_cfg=dict(type='Pretrained', checkpoint=FILE)
        init_cfg=_base_.fresh_weights,
    ),
    neck=dict(type='SRFNeck', in_channels=(32, 64, 128, 256)),
    head=dict(
        type='HeatmapPAFHead',
        in_channels=32,
        relations='full',
        heatmap_loss=dict(type='MaskedAdaptiveWingLoss', loss_weight=1.0),
        paf_loss=dict(type='PAFMSELoss', loss_weight=30.0),
        intermediate_weight=0.2,
        decoder=_base_.codec,
    ),
    test_cfg=dict(flip_test=True),
)
optim_wrapper = _base_.own_precision
