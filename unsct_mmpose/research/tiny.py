"""The demo's config as narrow as it gets, on images of 64 x 64: what torture and tests run."""

from __future__ import annotations

from pathlib import Path

DEMO = 'configs/demo/unsct_hrnet_tha_cpu.py'

NARROW_HRNET = dict(
    stage1=dict(num_blocks=(1,), num_channels=(8,)),
    stage2=dict(num_blocks=(1, 1), num_channels=(4, 8)),
    stage3=dict(num_modules=1, num_blocks=(1, 1, 1), num_channels=(4, 8, 16)),
    stage4=dict(num_modules=1, num_blocks=(1, 1, 1, 1), num_channels=(4, 8, 16, 32)),
)

_CONFIG = """
_base_ = {base!r}
codec = dict(input_size=(64, 64), heatmap_size=(16, 16))
model = dict(backbone=dict(extra={extra!r}),
             neck=dict(in_channels=(4, 8, 16, 32), out_channels=8),
             head=dict(in_channels=8, decoder=codec))
load = [dict(type='LoadRadiograph'), dict(type='GetBBoxCenterScale', padding=1.0),
        dict(type='RadiographAffine', input_size=(64, 64))]
encoder = dict(type='HeatmapPAF', sigma=1.5, relations='full', paf_width=1.0, **codec)
train_pipeline = [*load[:2], dict(type='RandomFlip', direction='horizontal'), load[2],
                  dict(type='GenerateTarget', encoder=encoder), dict(type='PackPoseInputs')]
val_pipeline = [*load, dict(type='PackPoseInputs')]
here = dict(num_workers=0, persistent_workers=False)
train_dataloader = dict(batch_size=2, dataset=dict(data_root={data!r}, pipeline=train_pipeline),
                        **here)
val_dataloader = dict(batch_size=4, dataset=dict(data_root={data!r}, pipeline=val_pipeline), **here)
test_dataloader = dict(batch_size=4, dataset=dict(data_root={data!r}, pipeline=val_pipeline),
                       **here)
"""


def tiny_config(root: Path, data: Path | str = '', more: str = '') -> str:
    """Return the text of such a config; lines behind it may change the dicts before them."""
    base, folder = (root / DEMO).resolve().as_posix(), Path(data).as_posix()
    return _CONFIG.format(base=base, extra=NARROW_HRNET, data=folder) + more
