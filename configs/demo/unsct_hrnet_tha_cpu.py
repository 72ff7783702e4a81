# The model family of unsct_hrnet_tha.py, small enough to train on two CPU cores in minutes.
_base_ = ['../_base_/default_runtime.py', '../_base_/tha_dataset.py']

codec = dict(
    type='HeatmapPAF',
    input_size=(256, 256),
    heatmap_size=(64, 64),
    sigma=1.5,
    relations='full',
    paf_width=1.0,
)

model = dict(
    type='TopdownPoseEstimator',
    data_preprocessor=dict(
        type='PoseDataPreprocessor', mean=[128.0] * 3, std=[64.0] * 3, bgr_to_rgb=False
    ),
    backbone=dict(
        type='HRNet',
        in_channels=3,
        extra=dict(
            stage1=dict(
                num_modules=1,
                num_branches=1,
                block='BOTTLENECK',
                num_blocks=(2,),
                num_channels=(32,),
            ),
            stage2=dict(
                num_modules=1,
                num_branches=2,
                block='BASIC',
                num_blocks=(2, 2),
                num_channels=(16, 32),
            ),
            stage3=dict(
                num_modules=2,
                num_branches=3,
                block='BASIC',
                num_blocks=(2, 2, 2),
                num_channels=(16, 32, 64),
            ),
            stage4=dict(
                num_modules=2,
                num_branches=4,
                block='BASIC',
                num_blocks=(2, 2, 2, 2),
                num_channels=(16, 32, 64, 128),
                multiscale_output=True,
            ),
        ),
    ),
    neck=dict(type='SRFNeck', in_channels=(16, 32, 64, 128), out_channels=32),
    head=dict(
        type='HeatmapPAFHead',
        in_channels=32,
        relations='full',
        heatmap_loss=dict(type='MaskedAdaptiveWingLoss', loss_weight=1.0),
        paf_loss=dict(type='PAFMSELoss', loss_weight=30.0),
        intermediate_weight=0.2,
        decoder=codec,
    ),
    test_cfg=dict(flip_test=True),
)

train_pipeline = [
    dict(type='LoadRadiograph', cache_mb=512),
    dict(type='GetBBoxCenterScale', padding=1.0),
    dict(type='RandomFlip', direction='horizontal'),
    dict(
        type='RandomBBoxTransform', shift_factor=0.06, scale_factor=(0.85, 1.15), rotate_factor=15.0
    ),
    dict(type='RadiographAffine', input_size=codec['input_size']),
    dict(type='RadiographicNoise', prob=0.8),
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackPoseInputs'),
]
val_pipeline = [
    dict(type='LoadRadiograph', cache_mb=512),
    dict(type='GetBBoxCenterScale', padding=1.0),
    dict(type='RadiographAffine', input_size=codec['input_size']),
    dict(type='PackPoseInputs'),
]
train_dataloader = dict(batch_size=8, num_workers=1, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(batch_size=15, num_workers=1, dataset=dict(pipeline=val_pipeline))
test_dataloader = dict(batch_size=15, num_workers=1, dataset=dict(pipeline=val_pipeline))

train_cfg = dict(by_epoch=True, max_epochs=40, val_interval=10)
optim_wrapper = dict(
    type='Bf16OptimWrapper',
    optimizer=dict(type='Adam', lr=1e-3),
    clip_grad=dict(max_norm=10.0),
)
param_scheduler = [
    dict(type='LinearLR', begin=0, end=50, start_factor=0.01, by_epoch=False),
    dict(
        type='CosineAnnealingLR',
        begin=0,
        T_max=40,
        eta_min=1e-5,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
]
