# Regression with ResNet-50 and residual log-likelihood, MMPose's usual settings.
_base_ = '../_base_/budget/{{$UNSCT_BUDGET:gpu}}.py'
codec = dict(type='RegressionLabel', input_size=_base_.input_size)
model = dict(
    type='TopdownPoseEstimator',
    data_preprocessor=_base_.data_preprocessor,
    backbone=_base_.res_net,
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='RLEHead',
        in_channels=2048,
        num_joints=24,
        loss=dict(type='RLELoss', use_target_weight=True),
        decoder=codec,
    ),
    test_cfg=dict(flip_test=True, shift_coords=True),
)
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            *_base_.train_stages,
            dict(type='GenerateTarget', encoder=codec),
            dict(type='PackPoseInputs'),
        ]
    )
)
