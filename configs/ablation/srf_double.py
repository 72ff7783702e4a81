# Twice the resolution, three fifths of the epochs: has a global relation more to add where each
# branch sees less of the image?
_base_ = '../hrnet/unsct-hrnet.py'
double = tuple(2 * size for size in _base_.input_size)
double_codec = dict(
    _base_.codec,
    input_size=double,
    heatmap_size=tuple(2 * size for size in _base_.heatmap_size),
    sigma=2 * _base_.codec.sigma,
    paf_width=2 * _base_.codec.paf_width,
)
resize = dict(type='RadiographAffine', input_size=double)
model = dict(head=dict(decoder=double_codec))
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            *(resize if one.type == resize['type'] else one for one in _base_.train_stages),
            dict(type='GenerateTarget', encoder=double_codec),
            dict(type='PackPoseInputs'),
        ]
    )
)
double_val_pipeline = [resize if one.type == resize['type'] else one for one in _base_.val_pipeline]
val_dataloader = dict(dataset=dict(pipeline=double_val_pipeline))
test_dataloader = dict(dataset=dict(pipeline=double_val_pipeline))
epochs = _base_.train_cfg.max_epochs * 3 // 5
train_cfg = dict(max_epochs=epochs)
param_scheduler = [
    _base_.param_scheduler[0],
    dict(
        type='CosineAnnealingLR',
        T_max=epochs,
        eta_min=1e-5,
        convert_to_iter_based=True,
    ),
]
