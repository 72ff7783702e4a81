# UNSCT-U-Net for a laptop: 256 x 256, a quarter of an hour on two float32 cores. It is of one
# size: no budget changes it.
_base_ = '../_base_/budget/cpu.py'

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
    data_preprocessor=_base_.data_preprocessor,
    backbone=dict(**dict(_base_.u_net, type='SRFUNet')),
    head=dict(
        type='HeatmapPAFHead',
        in_channels=_base_.u_net_channels,
        intermediate_weight=0.2,
        decoder=codec,
        **_base_.losses,
    ),
    test_cfg=dict(flip_test=True),
)
optim_wrapper = _base_.own_precision

train_pipeline = [
    dict(type='LoadRadiograph', cache_mb=512),
    dict(type='GetBBoxCenterScale', padding=1.0),
    dict(type='RandomFlip', direction='horizontal'),
    dict(
        type='RandomBBoxTransform', shift_factor=0.06, scale_factor=(0.92, 1.08), rotate_factor=8.0
    ),
    dict(type='RadiographAffine', input_size=codec['input_size']),
    dict(type='RadiographicNoise', prob=0.5),
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackPoseInputs'),
]
val_pipeline = [
    dict(type='LoadRadiograph', cache_mb=512),
    dict(type='GetBBoxCenterScale', padding=1.0),
    dict(type='RadiographAffine', input_size=codec['input_size']),
    dict(type='PackPoseInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = dict(dataset=dict(pipeline=val_pipeline))

train_cfg = dict(max_epochs=54, val_interval=18)
param_scheduler = [
    dict(type='LinearLR', begin=0, end=50, start_factor=0.01, by_epoch=False),
    dict(
        type='CosineAnnealingLR',
        begin=0,
        T_max=train_cfg['max_epochs'],
        eta_min=1e-5,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
]
