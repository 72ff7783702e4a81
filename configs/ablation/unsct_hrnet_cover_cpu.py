# The demo model trained with parts of its images covered: absence without an annotator.
_base_ = '../demo/unsct_hrnet_tha_cpu.py'

train_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='LoadRadiograph', cache_mb=512),
            dict(type='GetBBoxCenterScale', padding=1.0),
            dict(type='RandomFlip', direction='horizontal'),
            dict(
                type='RandomBBoxTransform',
                shift_factor=0.06,
                scale_factor=(0.92, 1.08),
                rotate_factor=8.0,
            ),
            dict(type='RadiographAffine', input_size=(256, 256)),
            dict(type='RandomCover', prob=0.5),
            dict(type='RadiographicNoise', prob=0.5),
            dict(type='GenerateTarget', encoder=_base_.codec),
            dict(type='PackPoseInputs'),
        ]
    )
)
expected = dict(_delete_=True)
