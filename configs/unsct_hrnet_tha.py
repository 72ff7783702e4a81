# UNSCT-HRNet on AP pelvic radiographs, all in this file: copy it to where you work; it needs this
# package installed and no other file. Data: UNSCT_DATA=DIR with train.json, val.json, test.json and
# images/. "3.4" marks what section 3.4 of the paper says; "ours" a value for what it leaves open;
# "not the paper" what we added or do otherwise: docs/explanation/paper.md has the reasons, and
# paper/unsct_hrnet_paper.py none of it. The layered twin is hrnet/unsct-hrnet.py.
default_scope = 'mmpose'
custom_imports = dict(imports=['unsct_mmpose.register'], allow_failed_imports=False)
_cuda = __import__('torch').cuda.is_available()

# Table 1: twelve landmarks a side, the patient's left ones first, in every file and tensor: the set
# that THADataset and the codec have built in (landmarks='hip'). Here it is in MMPose's form, for
# other data sets to take by metainfo=dict(from_file='THIS FILE').
dataset_info = __import__('unsct_mmpose.datasets', fromlist=['THADataset']).THADataset.METAINFO

# Sizes are ours: the paper gives neither the input's nor the heatmaps'.
input_size = (512, 512)
codec = dict(
    type='HeatmapPAF', input_size=input_size, heatmap_size=(128, 128), sigma=2.0, relations='full',
    paf_width=1.0,
)  # fmt: skip

model = dict(
    type='TopdownPoseEstimator',
    data_preprocessor=dict(  # 4.1.2: "normalization"; the values are MMPose's
        type='BatchDataPreprocessor', bgr_to_rgb=True,
        mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375],
    ),
    # the width, W32, is ours
    backbone=dict(
        type='HRNet', in_channels=3,
        extra=dict(
            stage1=dict(num_modules=1, num_branches=1, block='BOTTLENECK', num_blocks=(4,),
                        num_channels=(64,)),
            stage2=dict(num_modules=1, num_branches=2, block='BASIC', num_blocks=(4, 4),
                        num_channels=(32, 64)),
            stage3=dict(num_modules=4, num_branches=3, block='BASIC', num_blocks=(4, 4, 4),
                        num_channels=(32, 64, 128)),
            stage4=dict(num_modules=3, num_branches=4, block='BASIC', num_blocks=(4, 4, 4, 4),
                        num_channels=(32, 64, 128, 256), multiscale_output=True),
        ),
        # not the paper: Kaiming weights. ImageNet's: dict(type='Pretrained', checkpoint=FILE)
        init_cfg=[
            dict(type='Kaiming', layer=['Conv2d']),
            dict(type='Constant', val=1, layer=['_BatchNorm', 'GroupNorm']),
        ],
    ),
    # not the paper: SRF behind the HRNet; the paper's is at every stage's entry (SRFHRNet)
    neck=dict(type='SRFNeck', in_channels=(32, 64, 128, 256)),
    head=dict(
        type='HeatmapPAFHead', in_channels=32, relations='full',
        heatmap_loss=dict(type='MaskedAdaptiveWingLoss', loss_weight=1.0),  # W1 of (9), ours
        paf_loss=dict(type='PAFMSELoss', loss_weight=30.0),  # W2 of (9), ours
        intermediate_weight=0.2,  # not the paper: a loss for SRF's coarse heatmaps
        decoder=codec,  # not the paper: its decision is fused; evidence='paf' is the paper's
    ),
    test_cfg=dict(flip_test=True),  # not the paper
)  # fmt: skip

train_stages = [
    dict(type='LoadRadiograph', cache_mb=512, shrink_to=1024),  # once, to twice what is seen
    dict(type='GetBBoxCenterScale', padding=1.0),
    dict(type='RandomFlip', direction='horizontal'),  # 3.4: "random flipping"
    dict(  # not the paper: shift, scale, rotation
        type='RandomBBoxTransform', shift_factor=0.06, scale_factor=(0.85, 1.15), rotate_factor=20.0
    ),
    dict(type='RadiographAffine', input_size=input_size),
    dict(type='RandomCover', prob=0.3),  # not the paper: landmarks get hidden
    dict(type='RadiographicNoise', prob=0.8),  # 3.4: "adding noise"; not the paper: window, blur
]
train_pipeline = [
    *train_stages,
    # the head draws the targets of a whole batch, on its device
    dict(type='GenerateTarget', encoder=dict(codec, draw_late=True)),
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
    collate_fn=dict(type='default_collate'), pin_memory=_cuda,  # for speed: whole batches go over
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
    type='AmpOptimWrapper', constructor='Bf16OptimWrapperConstructor',  # not the paper: bfloat16
    optimizer=dict(type='Adam', lr=1e-3, fused=_cuda),  # 3.4: Adam, 0.001
    clip_grad=dict(max_norm=10.0),  # not the paper
)  # fmt: skip
auto_scale_lr = dict(base_batch_size=16)
param_scheduler = [  # not the paper: warm-up, then two steps down
    dict(type='LinearLR', begin=0, end=100, start_factor=0.01, by_epoch=False),
    dict(type='MultiStepLR', begin=0, end=300, milestones=[200, 260], gamma=0.1, by_epoch=True),
]
custom_hooks = [dict(type='SyncBuffersHook'), dict(type='NonFiniteLossHook')]
custom_hooks += [dict(type='CUDAGraphHook')]  # not the paper: for speed alone
default_hooks = dict(
    runtime_info=dict(type='LateRuntimeInfoHook'),  # for speed: losses are read when logged
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
