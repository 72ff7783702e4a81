# UNSCT-HRNet at the paper's setting: HRNet-W32 with spatial relationship fusion, whole image at
# 512 x 512, Adam at 1e-3, 300 epochs, mirrored and noisy images. Mixed precision on CUDA.
_base_ = ['./_base_/default_runtime.py', './_base_/tha_dataset.py']

codec = dict(
    type='HeatmapPAF',
    input_size=(512, 512),
    heatmap_size=(128, 128),
    sigma=2.0,
    relations='full',
    paf_width=1.0,
)

model = dict(
    type='TopdownPoseEstimator',
    data_preprocessor=dict(
        type='PoseDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
    ),
    backbone=dict(
        type='HRNet',
        in_channels=3,
        extra=dict(
            stage1=dict(
                num_modules=1,
                num_branches=1,
                block='BOTTLENECK',
                num_blocks=(4,),
                num_channels=(64,),
            ),
            stage2=dict(
                num_modules=1,
                num_branches=2,
                block='BASIC',
                num_blocks=(4, 4),
                num_channels=(32, 64),
            ),
            stage3=dict(
                num_modules=4,
                num_branches=3,
                block='BASIC',
                num_blocks=(4, 4, 4),
                num_channels=(32, 64, 128),
            ),
            stage4=dict(
                num_modules=3,
                num_branches=4,
                block='BASIC',
                num_blocks=(4, 4, 4, 4),
                num_channels=(32, 64, 128, 256),
                multiscale_output=True,
            ),
        ),
        # ImageNet weights of MMPose load here: init_cfg=dict(type='Pretrained', checkpoint=FILE)
    ),
    neck=dict(type='SRFNeck', in_channels=(32, 64, 128, 256)),
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
        type='RandomBBoxTransform', shift_factor=0.06, scale_factor=(0.85, 1.15), rotate_factor=20.0
    ),
    dict(type='RadiographAffine', input_size=codec['input_size']),
    dict(type='RandomCover', prob=0.3),
    dict(type='RadiographicNoise', prob=0.8),
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackPoseInputs'),
]
val_pipeline = [
    dict(type='LoadRadiograph'),
    dict(type='GetBBoxCenterScale', padding=1.0),
    dict(type='RadiographAffine', input_size=codec['input_size']),
    dict(type='PackPoseInputs'),
]
train_dataloader = dict(batch_size=8, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(batch_size=8, dataset=dict(pipeline=val_pipeline))
test_dataloader = dict(batch_size=8, dataset=dict(pipeline=val_pipeline))

train_cfg = dict(by_epoch=True, max_epochs=300, val_interval=5)
optim_wrapper = dict(
    type='AmpOptimWrapper' if __import__('torch').cuda.is_available() else 'OptimWrapper',
    optimizer=dict(type='Adam', lr=1e-3),
    clip_grad=dict(max_norm=10.0),
)
param_scheduler = [
    dict(type='LinearLR', begin=0, end=200, start_factor=0.01, by_epoch=False),
    dict(type='MultiStepLR', begin=0, end=300, milestones=[200, 260], gamma=0.1, by_epoch=True),
]
