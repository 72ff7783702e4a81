# Minutes on two CPU cores: 192 x 192, HRNet-W32 with one module and one block a stage, 20 epochs
# of small batches.
_base_ = './common.py'

input_size = (192, 192)
heatmap_size = (48, 48)
codec = dict(
    type='HeatmapPAF',
    input_size=input_size,
    heatmap_size=heatmap_size,
    sigma=1.5,
    relations='full',
    paf_width=1.0,
)
high_codec = dict(codec, heatmap_size=(96, 96))
# what MMPose's own heads read and are trained on: absent landmarks are ignored
stock_codec = dict(
    type='LandmarkHeatmap', input_size=input_size, heatmap_size=heatmap_size, sigma=codec['sigma']
)
stock_high_codec = dict(stock_codec, heatmap_size=(96, 96))

hrnet_extra = dict(
    stage1=dict(
        num_modules=1, num_branches=1, block='BOTTLENECK', num_blocks=(2,), num_channels=(32,)
    ),
    stage2=dict(
        num_modules=1, num_branches=2, block='BASIC', num_blocks=(1, 1), num_channels=(32, 64)
    ),
    stage3=dict(
        num_modules=1,
        num_branches=3,
        block='BASIC',
        num_blocks=(1, 1, 1),
        num_channels=(32, 64, 128),
    ),
    stage4=dict(
        num_modules=1,
        num_branches=4,
        block='BASIC',
        num_blocks=(1, 1, 1, 1),
        num_channels=(32, 64, 128, 256),
    ),
)
# all four branches leave, for a neck
hrnet_branches = dict(hrnet_extra, stage4=dict(hrnet_extra['stage4'], multiscale_output=True))
bare_head = bare_high_head = dict()
higher_blocks = 1
hourglass = dict(
    type='SlimHourglassNet',
    num_stacks=2,
    downsample_times=4,
    stage_channels=(48, 64, 96, 128, 128),
    stage_blocks=(1, 1, 1, 1, 1),
    feat_channel=48,
)
hourglass_channels = 48
u_net = dict(type='UNet', base_channels=16)
u_net_channels = 64
simcc_sigma = 4.9
res_net = dict(type='ResNet', depth=50)
csp_next = dict(deepen_factor=0.33, widen_factor=0.5, channels=512)  # RTMPose-s

# up to the targets, which each model draws its own way
train_stages = [
    dict(type='LoadRadiograph', cache_mb=512),
    dict(type='GetBBoxCenterScale', padding=1.0),
    dict(type='RandomFlip', direction='horizontal'),
    dict(
        type='RandomBBoxTransform', shift_factor=0.06, scale_factor=(0.92, 1.08), rotate_factor=8.0
    ),
    dict(type='RadiographAffine', input_size=input_size),
    dict(type='RadiographicNoise', prob=0.5),
]


def _train_pipeline(encoder, **options):
    target = dict(type='GenerateTarget', encoder=encoder, **options)
    return [*train_stages, target, dict(type='PackPoseInputs')]


train_pipeline = _train_pipeline(codec)
drawn_train_pipeline = _train_pipeline(codec)
high_train_pipeline = _train_pipeline([codec, high_codec], multilevel=True)
stock_train_pipeline = _train_pipeline(stock_codec)
stock_high_train_pipeline = _train_pipeline([stock_codec, stock_high_codec], multilevel=True)
val_pipeline = [
    dict(type='LoadRadiograph', cache_mb=512),
    dict(type='GetBBoxCenterScale', padding=1.0),
    dict(type='RadiographAffine', input_size=input_size),
    dict(type='PackPoseInputs'),
]
_here = dict(num_workers=0, persistent_workers=False)
train_dataloader = dict(batch_size=2, dataset=dict(pipeline=train_pipeline), **_here)
val_dataloader = dict(batch_size=16, dataset=dict(pipeline=val_pipeline), **_here)
test_dataloader = dict(batch_size=16, dataset=dict(pipeline=val_pipeline), **_here)

train_cfg = dict(max_epochs=20, val_interval=4)
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='Adam', lr=1e-3, foreach=True),
    clip_grad=dict(max_norm=10.0),
)
own_precision = dict(constructor='Bf16OptimWrapperConstructor')  # what --amp means
# the rate above belongs to batches of so many images; tools/train.py --auto-scale-lr follows yours
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
default_hooks = dict(checkpoint=dict(interval=4, max_keep_ckpts=1), logger=dict(interval=40))
