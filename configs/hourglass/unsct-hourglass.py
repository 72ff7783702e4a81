# Two stacked hourglasses with fields beside heatmaps; the paper has no SRF here.
_base_ = '../_base_/budget/{{$UNSCT_BUDGET:gpu}}.py'
model = dict(
    type='TopdownPoseEstimator',
    data_preprocessor=_base_.data_preprocessor,
    backbone=dict(_base_.hourglass, init_cfg=_base_.fresh_weights),
    head=dict(
        type='StackedHeatmapPAFHead',
        in_channels=_base_.hourglass_channels,
        num_stages=2,
        decoder=_base_.codec,
        **_base_.losses,
    ),
    test_cfg=dict(flip_test=True),
)
optim_wrapper = _base_.own_precision
