# What the two budgets share: everything that is no size.
_base_ = ['../default_runtime.py', '../tha_dataset.py']

# equation (9): W1 and W2
losses = dict(
    heatmap_loss=dict(type='MaskedAdaptiveWingLoss', loss_weight=1.0),
    paf_loss=dict(type='PAFMSELoss', loss_weight=30.0),
)
# How convolutions start that no checkpoint fills. MMPose's own HRNet and hourglass draw them with
# a standard deviation of 0.001: of the size of Adam's first steps, near batch norm's epsilon.
fresh_weights = [
    dict(type='Kaiming', layer=['Conv2d']),
    dict(type='Constant', val=1, layer=['_BatchNorm', 'GroupNorm']),
]
stock_loss = dict(type='KeypointMSELoss', use_target_weight=True)
stock_test_cfg = dict(flip_test=True, flip_mode='heatmap', shift_heatmap=False)

data_preprocessor = dict(
    type='PoseDataPreprocessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
)
