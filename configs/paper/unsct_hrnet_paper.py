# The paper, strictly: its network (SRF at every stage's entry), its loss, its decision, 300 epochs,
# Adam at 0.001, mirrored and noisy images; nothing else. "3.4" marks what section 3.4 says, "ours"
# a value for what the paper leaves open. What we advise is ../unsct_hrnet_tha.py, which also names
# the landmarks; docs/explanation/paper.md has a row for each thing in which that one deviates.
# All is in this file: copy it to where you work.
default_scope = 'mmpose'
custom_imports = dict(imports=['unsct_mmpose.register'], allow_failed_imports=False)

# Sizes are ours: the paper gives neither the input's nor the heatmaps'.
input_size = (512, 512)
codec = dict(
    type='HeatmapPAF', input_size=input_size, heatmap_size=(128, 128), sigma=2.0, relations='full',
    paf_width=1.0,
    # equations (1) to (4): the fields' entropy as printed, of the mean over a landmark's relations.
    # The paper gives no threshold; the mode's, 0.365, is ours, unfitted, just below the maximum of
    # -w log w (1/e): as printed it also keeps a landmark that no field speaks for.
    mode='paper',
)  # fmt: skip

model = dict(
    type='TopdownPoseEstimator',
    data_preprocessor=dict(  # 4.1.2: "normalization"; the values are MMPose's
        type='PoseDataPreprocessor', bgr_to_rgb=True,
        mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375],
    ),
    # Figure 2: SRF at every stage's entry. The width, W32, is ours; weights start as in MMPose
    backbone=dict(
        type='SRFHRNet', in_channels=3,
        extra=dict(
            stage1=dict(num_modules=1, num_branches=1, block='BOTTLENECK', num_blocks=(4,),
                        num_channels=(64,)),
            stage2=dict(num_modules=1, num_branches=2, block='BASIC', num_blocks=(4, 4),
                        num_channels=(32, 64)),
            stage3=dict(num_modules=4, num_branches=3, block='BASIC', num_blocks=(4, 4, 4),
                        num_channels=(32, 64, 128)),
            stage4=dict(num_modules=3, num_branches=4, block='BASIC', num_blocks=(4, 4, 4, 4),
                        num_channels=(32, 64, 128, 256)),
        ),
    ),
    head=dict(
        type='HeatmapPAFHead', in_channels=32, relations='full',
        heatmap_loss=dict(type='MaskedAdaptiveWingLoss', loss_weight=1.0),  # W1 of (9), ours
        paf_loss=dict(type='PAFMSELoss', loss_weight=30.0),  # W2 of (9), ours
        decoder=codec,
    ),
    test_cfg=dict(flip_test=False),
)  # fmt: skip

train_pipeline = [
    dict(type='LoadRadiograph', cache_mb=512),
    dict(type='GetBBoxCenterScale', padding=1.0),
    dict(type='RandomFlip', direction='horizontal'),  # 3.4: "random flipping"
    dict(type='RadiographAffine', input_size=input_size),
    # 3.4: "adding noise to the images", and nothing else; how much and how often is ours
    dict(type='RadiographicNoise', prob=0.8, window=0.0, gamma=1.0, blur_px=0.0),
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackPoseInputs'),
]
val_pipeline = [
    dict(type='LoadRadiograph'),
    dict(type='GetBBoxCenterScale', padding=1.0),
    dict(type='RadiographAffine', input_size=input_size),
    dict(type='PackPoseInputs'),
]
dataset_type, data_mode, data_root = 'THADataset', 'topdown', '{{$UNSCT_DATA:data/phantom}}'
_data = dict(type=dataset_type, data_root=data_root, data_mode=data_mode, require_spacing=True,
             data_prefix=dict(img='images/'))  # fmt: skip
_test = dict(batch_size=8, num_workers=2, drop_last=False,
             sampler=dict(type='DefaultSampler', shuffle=False, round_up=False))  # fmt: skip
train_dataloader = dict(  # 3.4: 257 images; no patient is in two splits (4.1.2). Batches are ours
    batch_size=16, num_workers=8, persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(ann_file='train.json', disjoint_from=['val.json', 'test.json'],
                 pipeline=train_pipeline, **_data),
)  # fmt: skip
val_dataloader = dict(  # 3.4: 53 images
    persistent_workers=True, **_test,
    dataset=dict(ann_file='val.json', test_mode=True, pipeline=val_pipeline, **_data),
)  # fmt: skip
test_dataloader = dict(  # the paper has no third split
    persistent_workers=False, **_test,
    dataset=dict(ann_file='test.json', test_mode=True, pipeline=val_pipeline, **_data),
)  # fmt: skip
val_evaluator = dict(type='THALandmarkMetric')
test_evaluator = [dict(type='THALandmarkMetric', per_landmark=True), dict(type='THASetErrorMetric'),
                  dict(type='THAPresenceMetric'), dict(type='THAClinicalMetric'),
                  dict(type='THAPaperMetric')]  # fmt: skip

train_cfg = dict(by_epoch=True, max_epochs=300, val_interval=5)  # 3.4: 300 epochs
val_cfg, test_cfg = dict(), dict()
optim_wrapper = dict(
    type='OptimWrapper', constructor='Bf16OptimWrapperConstructor',  # float32; bfloat16 by --amp
    optimizer=dict(type='Adam', lr=1e-3),  # 3.4: Adam, 0.001
)  # fmt: skip
param_scheduler = []  # 3.4: "the learning rate was set to 0.001"
auto_scale_lr = dict(base_batch_size=16)
custom_hooks = [dict(type='SyncBuffersHook'), dict(type='NonFiniteLossHook')]  # no part in training
default_hooks = dict(
    timer=dict(type='IterTimerHook'), logger=dict(type='LoggerHook', interval=10),
    param_scheduler=dict(type='ParamSchedulerHook'), sampler_seed=dict(type='EpochSeedHook'),
    checkpoint=dict(type='CheckpointHook', interval=10, max_keep_ckpts=2, save_best='all/MRE',
                    rule='less'),
    visualization=dict(type='THAVisualizationHook', enable=False),
    badcase=dict(type='THABadCaseHook', enable=False, metric=dict(type='THASetErrorMetric')),
)  # fmt: skip
visualizer = dict(type='THAVisualizer', vis_backends=[dict(type='LocalVisBackend')],
                  name='visualizer')  # fmt: skip
env_cfg = dict(cudnn_benchmark=True, mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
               dist_cfg=dict(backend='nccl'))  # fmt: skip
log_processor = dict(type='LogProcessor', window_size=50, by_epoch=True, num_digits=6)
log_level, load_from, resume, randomness = 'INFO', None, False, dict(seed=0)
