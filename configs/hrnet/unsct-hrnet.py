# HRNet with spatial relationship fusion on the branches that leave it, heatmaps and fields. The
# paper has the fusion at every stage's entry: ../ablation/srf_stages.py.
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
        type='HeatmapPAFHead',
        in_channels=32,
        intermediate_weight=0.2,
        decoder=_base_.codec,
        **_base_.losses,
    ),
    test_cfg=dict(flip_test=True),
)
optim_wrapper = _base_.own_precision
