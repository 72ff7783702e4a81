# The model family of unsct_hrnet_tha.py, small enough to train on two CPU cores in minutes.
_base_ = '../unsct_hrnet_tha.py'

codec = dict(
    type='HeatmapPAF',
    input_size=(256, 256),
    heatmap_size=(64, 64),
    sigma=1.5,
    relations='full',
    paf_width=1.0,
)

model = dict(
    backbone=dict(
        extra=dict(
            stage1=dict(num_blocks=(2,), num_channels=(32,)),
            stage2=dict(num_blocks=(2, 2), num_channels=(16, 32)),
            stage3=dict(num_modules=2, num_blocks=(2, 2, 2), num_channels=(16, 32, 64)),
            stage4=dict(num_modules=2, num_blocks=(2, 2, 2, 2), num_channels=(16, 32, 64, 128)),
        )
    ),
    neck=dict(in_channels=(16, 32, 64, 128), out_channels=32),
    head=dict(in_channels=32, decoder=codec),
)

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
# small batches: in a few minutes the number of steps is what counts
train_dataloader = dict(batch_size=2, num_workers=1, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(batch_size=16, num_workers=1, dataset=dict(pipeline=val_pipeline))
test_dataloader = dict(batch_size=16, num_workers=1, dataset=dict(pipeline=val_pipeline))

train_cfg = dict(max_epochs=16, val_interval=4)
# [speed] all weights in one kernel, which PyTorch has for a CPU since 2.4
optim_wrapper = dict(optimizer=dict(lr=1e-3, fused=__import__('torch').__version__ >= '2.4'))
auto_scale_lr = dict(base_batch_size=2)
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
# the checkpoint after 12 epochs is what unsct_hrnet_tha_short.py starts from
default_hooks = dict(checkpoint=dict(interval=1, max_keep_ckpts=5), logger=dict(interval=40))

# `make demo-full` compares with these (tools/results.py check); the tolerances leave room for
# another machine's arithmetic; `seconds` are estimates.
expected = dict(
    command='make demo-full',
    minutes=12,
    seconds=dict(phantom=70, train=480, calibrate=25, test=40),
    metrics={
        'all/MRE': dict(value=2.2, tolerance=0.4),
        'structured/MRE': dict(value=2.15, tolerance=0.4),
        'structured/SDR@2mm': dict(value=0.66, tolerance=0.08),
        'unstructured/MRE': dict(value=2.2, tolerance=0.6),
        'set_error/unstructured/E_20': dict(value=2.4, tolerance=0.6),
        'presence/all/recall': dict(value=0.998, tolerance=0.015),
    },
)
