# Twice the epochs: does spatial relationship fusion only need longer to pay?
_base_ = '../hrnet/unsct-hrnet.py'
epochs = 2 * _base_.train_cfg.max_epochs
train_cfg = dict(max_epochs=epochs)
param_scheduler = [
    _base_.param_scheduler[0],
    dict(type='CosineAnnealingLR', T_max=epochs, eta_min=1e-5, convert_to_iter_based=True),
]
