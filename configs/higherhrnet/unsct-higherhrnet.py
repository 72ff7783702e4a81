# HigherHRNet with spatial relationship fusion and fields at both resolutions.
_base_ = '../_base_/budget/{{$UNSCT_BUDGET:gpu}}.py'
model = dict(
    type='TopdownPoseEstimator',
    data_preprocessor=_base_.data_preprocessor,
    backbone=dict(
        type='HRNet',
        in_channels=3,
        extra=_base_.hrnet_branches,
        init_cfg=_base_.fresh_weights,
    ),
    neck=dict(type='SRFNeck', in_channels=(32, 64, 128, 256)),
    head=dict(
        type='HigherHeatmapPAFHead',
        in_channels=32,
        num_blocks=_base_.higher_blocks,
        intermediate_weight=0.2,
        decoder=_base_.high_codec,
        **_base_.losses,
    ),
    test_cfg=dict(flip_test=True),
)
train_dataloader = dict(dataset=dict(pipeline=_base_.high_train_pipeline))
optim_wrapper = _base_.own_precision
