# The full size: whole image at 512 x 512 and HRNet-W32, both ours, with the paper's Adam at 1e-3,
# 300 epochs, mirrored and noisy images. What is for speed alone is one line each, marked [speed],
# and can be left out (docs/results/performance.md).
_base_ = './common.py'

input_size = (512, 512)
heatmap_size = (128, 128)
codec = dict(
    type='HeatmapPAF',
    input_size=input_size,
    heatmap_size=heatmap_size,
    sigma=2.0,
    relations='full',
    paf_width=1.0,
)
high_codec = dict(codec, heatmap_size=(256, 256))
# what MMPose's own heads read and are trained on: absent landmarks are ignored
stock_codec = dict(
    type='LandmarkHeatmap', input_size=input_size, heatmap_size=heatmap_size, sigma=codec['sigma']
)
stock_high_codec = dict(stock_codec, heatmap_size=(256, 256))

hrnet_extra = dict(
    stage1=dict(
        num_modules=1, num_branches=1, block='BOTTLENECK', num_blocks=(4,), num_channels=(64,)
    ),
    stage2=dict(
        num_modules=1, num_branches=2, block='BASIC', num_blocks=(4, 4), num_channels=(32, 64)
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
    ),
)
# all four branches leave, for a neck
hrnet_branches = dict(hrnet_extra, stage4=dict(hrnet_extra['stage4'], multiscale_output=True))
# An HRNet's last map leaves it without a norm, at seven times a unit. A head that reads it as it is
# starts with weights of SD 0.0003 instead of 0.001: else its noise costs more than silence does on
# maps as empty as these.
_batch_norm = dict(type='Constant', layer='BatchNorm2d', val=1)
bare_head = dict(
    init_cfg=[dict(type='Normal', layer=['Conv2d', 'ConvTranspose2d'], std=0.0003), _batch_norm]
)
_maps = [dict(type='Normal', std=0.0003, name=name) for name in ('final_layer', 'high_layer')]
bare_high_head = dict(
    init_cfg=[
        dict(type='Kaiming', layer=['Conv2d', 'ConvTranspose2d'], override=_maps), _batch_norm
    ]
)  # fmt: skip
higher_blocks = 4
hourglass = dict(type='HourglassNet', num_stacks=2)
hourglass_channels = 256
u_net = dict(type='UNet', base_channels=32)
u_net_channels = 128
simcc_sigma = 8.0
res_net = dict(type='ResNet', depth=50)
csp_next = dict(deepen_factor=0.67, widen_factor=0.75, channels=768)  # RTMPose-m

# up to the targets, which each model draws its own way
train_stages = [
    # [speed] large images shrink once, to about twice what the network sees
    dict(type='LoadRadiograph', cache_mb=512, shrink_to=1024),
    dict(type='GetBBoxCenterScale', padding=1.0),
    dict(type='RandomFlip', direction='horizontal'),
    dict(
        type='RandomBBoxTransform', shift_factor=0.06, scale_factor=(0.85, 1.15), rotate_factor=20.0
    ),
    dict(type='RadiographAffine', input_size=input_size),
    dict(type='RandomCover', prob=0.3),
    dict(type='RadiographicNoise', prob=0.8),
]


def _train_pipeline(encoder, **options):
    target = dict(type='GenerateTarget', encoder=encoder, **options)
    return [*train_stages, target, dict(type='PackPoseInputs')]


# [speed] targets are drawn on the GPU, for the whole batch, at each resolution of the head
train_pipeline = _train_pipeline(dict(codec, draw_late=True))
high_train_pipeline = _train_pipeline(dict(high_codec, draw_late=True))
drawn_train_pipeline = _train_pipeline(codec)
stock_train_pipeline = _train_pipeline(stock_codec)
stock_high_train_pipeline = _train_pipeline([stock_codec, stock_high_codec], multilevel=True)
val_pipeline = [
    dict(type='LoadRadiograph'),
    dict(type='GetBBoxCenterScale', padding=1.0),
    dict(type='RadiographAffine', input_size=input_size),
    dict(type='PackPoseInputs'),
]
_cuda = __import__('torch').cuda.is_available()
# [speed] images and each kind of label go to the GPU in one copy for the batch, while it computes
data_preprocessor = dict(type='BatchDataPreprocessor')
train_dataloader = dict(
    batch_size=16,
    num_workers=8,
    collate_fn=dict(type='default_collate'),  # [speed] workers put the images of a batch together
    pin_memory=_cuda,  # [speed] in memory that the GPU reads by itself
    dataset=dict(pipeline=train_pipeline),
)
val_dataloader = dict(batch_size=8, dataset=dict(pipeline=val_pipeline))
test_dataloader = dict(batch_size=8, dataset=dict(pipeline=val_pipeline))

train_cfg = dict(max_epochs=300, val_interval=5)
optim_wrapper = dict(
    type='AmpOptimWrapper' if _cuda else 'OptimWrapper',  # [speed] half precision
    optimizer=dict(type='Adam', lr=1e-3, fused=_cuda),  # [speed] all weights in one kernel
    clip_grad=dict(max_norm=10.0),
)
# [speed] what MMPose's own heads cannot take (their accuracy hands it to NumPy): bfloat16, channels
# last (the layout in which batch norm has fast kernels), gradient norms read ten at once
own_precision = dict(type='AmpOptimWrapper', constructor='Bf16OptimWrapperConstructor')
# [speed] the network's kernels are replayed as a graph instead of launched one by one
custom_hooks = [*_base_.custom_hooks, dict(type='CUDAGraphHook')]
# the rate above belongs to batches of so many images; tools/train.py --auto-scale-lr follows yours
auto_scale_lr = dict(base_batch_size=16)
param_scheduler = [
    dict(type='LinearLR', begin=0, end=100, start_factor=0.01, by_epoch=False),
    dict(type='MultiStepLR', begin=0, end=300, milestones=[200, 260], gamma=0.1, by_epoch=True),
]
