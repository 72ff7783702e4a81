# The paper's network: spatial relationship fusion at every stage of an HRNet, heatmaps and fields.
_base_ = '../_base_/budget/{{$UNSCT_BUDGET:gpu}}.py'
model = dict(
    type='TopdownPoseEstimator',
    data_preprocessor=_base_.data_preprocessor,
    backbone=dict(type='SRFHRNet', in_channels=3, extra=_base_.hrnet_extra),
    head=dict(
        type='HeatmapPAFHead',
        in_channels=32,
        intermediate_weight=0.2,
        decoder=_base_.codec,
        **_base_.losses,
    ),
    test_cfg=dict(flip_test=True),
)
