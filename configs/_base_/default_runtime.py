default_scope = 'mmpose'
custom_imports = dict(imports=['unsct_mmpose.register'], allow_failed_imports=False)

default_hooks = dict(
    # [speed] losses are read from a GPU when they are logged, not in every iteration
    runtime_info=dict(type='LateRuntimeInfoHook'),
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=10),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(
        type='CheckpointHook', interval=10, max_keep_ckpts=2, save_best='all/MRE', rule='less'
    ),
    sampler_seed=dict(type='EpochSeedHook'),
    visualization=dict(type='THAVisualizationHook', enable=False),
    # tools/test.py --badcase: images whose set error is 10 mm or more
    badcase=dict(type='THABadCaseHook', enable=False, metric=dict(type='THASetErrorMetric')),
)
custom_hooks = [dict(type='SyncBuffersHook'), dict(type='NonFiniteLossHook')]

env_cfg = dict(
    cudnn_benchmark=True,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),
)
vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(type='THAVisualizer', vis_backends=vis_backends, name='visualizer')
log_processor = dict(type='LogProcessor', window_size=50, by_epoch=True, num_digits=6)
log_level = 'INFO'
load_from = None
resume = False

train_cfg = dict(by_epoch=True)
val_cfg = dict()
test_cfg = dict()
randomness = dict(seed=0)
