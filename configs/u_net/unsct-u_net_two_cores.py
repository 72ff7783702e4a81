# UNSCT-U-Net for a laptop: 256 x 256, a quarter of an hour on two float32 cores. It is of one
# size: no budget changes it.
_base_ = '../demo/unsct_hrnet_tha_cpu.py'

model = dict(
    backbone=dict(_delete_=True, type='SRFUNet', base_channels=16),
    neck=None,
    head=dict(in_channels=64),
)
optim_wrapper = dict(type='OptimWrapper')  # float32; bfloat16 by --amp

_here = dict(num_workers=0, persistent_workers=False)
train_dataloader = _here
val_dataloader = _here
test_dataloader = _here

epochs = 54
train_cfg = dict(max_epochs=epochs, val_interval=18)
param_scheduler = [_base_.param_scheduler[0], dict(_base_.param_scheduler[1], T_max=epochs)]
expected = dict(_delete_=True)
