# Radiographs of hips with landmarks. The folder holds train.json, val.json, test.json and images/.
# Another one: UNSCT_DATA=DIR, or --cfg-options train_dataloader.dataset.data_root=DIR and so on.
dataset_type = 'THADataset'
data_mode = 'topdown'
data_root = '{{$UNSCT_DATA:data/phantom}}'

_data = dict(
    type=dataset_type,
    data_root=data_root,
    data_mode=data_mode,
    data_prefix=dict(img='images/'),
    require_spacing=True,
)
train_dataloader = dict(
    batch_size=16,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(ann_file='train.json', disjoint_from=['val.json', 'test.json'], **_data),
)
val_dataloader = dict(
    batch_size=16,
    num_workers=2,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(ann_file='val.json', test_mode=True, **_data),
)
test_dataloader = dict(
    batch_size=16,
    num_workers=2,
    persistent_workers=False,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(ann_file='test.json', test_mode=True, **_data),
)

val_evaluator = dict(type='THALandmarkMetric')
# a calibrated checkpoint (unsct calibrate) decides what is reported; else everything is
test_evaluator = [
    dict(type='THALandmarkMetric', per_landmark=True),
    dict(type='THASetErrorMetric'),
    dict(type='THAPresenceMetric'),
    dict(type='THAClinicalMetric'),
    dict(type='THAPaperMetric'),
]
