# `make demo`: the last steps of a training, from the weights that an earlier stage of the full one
# (unsct_hrnet_tha_cpu.py, `make demo-full`) had: its checkpoint after 12 of 16 epochs, seed 0, made
# small by `unsct publish`. They have seen the phantom's training split alone, no validation or
# test image. Nothing is validated on the way: the last checkpoint is calibrated and tested.
_base_ = './unsct_hrnet_tha_cpu.py'

load_from = '{{ fileDirname }}/unsct_hrnet_tha_cpu_epoch_12.pth'

val_dataloader = dict(num_workers=0, persistent_workers=False)
test_dataloader = dict(num_workers=0, persistent_workers=False)

train_cfg = dict(max_epochs=6, val_begin=7)
optim_wrapper = dict(optimizer=dict(lr=3e-4))
param_scheduler = [
    dict(type='LinearLR', begin=0, end=20, start_factor=0.1, by_epoch=False),
    dict(
        type='CosineAnnealingLR',
        begin=0,
        T_max=train_cfg['max_epochs'],
        eta_min=1e-5,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
]
default_hooks = dict(
    checkpoint=dict(interval=1, max_keep_ckpts=1, save_best=None),
    visualization=dict(limit=8),
)

# seed 0 in float32; it has to reach the table of the full training
expected = dict(
    _delete_=True,
    command='make demo',
    minutes=5,
    seconds=dict(phantom=45, train=155, calibrate=11, test=10),
    metrics={
        'all/MRE': dict(value=2.17, tolerance=0.4),
        'structured/MRE': dict(value=2.11, tolerance=0.4),
        'structured/SDR@2mm': dict(value=0.665, tolerance=0.08),
        'unstructured/MRE': dict(value=2.3, tolerance=0.6),
        'set_error/unstructured/E_20': dict(value=2.4, tolerance=0.6),
        'presence/all/recall': dict(value=0.998, tolerance=0.015),
    },
)
