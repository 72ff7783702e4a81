# Two stacked hourglasses, each supervised; absent landmarks are ignored.
_base_ = '../_base_/budget/{{$UNSCT_BUDGET:gpu}}.py'
model = dict(
    type='TopdownPoseEstimator',
    data_preprocessor=_base_.data_preprocessor,
    backbone=dict(_base_.hourglass, init_cfg=_base_.fresh_weights),
    head=dict(
        type='CPMHead',
        in_channels=_base_.hourglass_channels,
        out_channels=24,
        num_stages=2,
        loss=_base_.stock_loss,
        decoder=_base_.stock_codec,
    ),
    test_cfg=_base_.stock_test_cfg,
)
train_dataloader = dict(dataset=dict(pipeline=_base_.stock_train_pipeline))
