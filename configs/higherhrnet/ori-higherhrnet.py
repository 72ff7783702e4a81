# HigherHRNet: heatmaps at 1/4 and 1/2 of the input; absent landmarks are ignored.
_base_ = '../_base_/budget/{{$UNSCT_BUDGET:gpu}}.py'
model = dict(
    type='TopdownPoseEstimator',
    data_preprocessor=_base_.data_preprocessor,
    backbone=dict(
        type='HRNet', in_channels=3, extra=_base_.hrnet_extra, init_cfg=_base_.fresh_weights
    ),
    head=dict(
        type='HigherHeatmapHead',
        in_channels=32,
        out_channels=24,
        num_blocks=_base_.higher_blocks,
        loss=_base_.stock_loss,
        decoder=_base_.stock_high_codec,
        **_base_.bare_high_head,
    ),
    test_cfg=_base_.stock_test_cfg,
)
train_dataloader = dict(dataset=dict(pipeline=_base_.stock_high_train_pipeline))
