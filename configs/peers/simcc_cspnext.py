# RTMPose: CSPNeXt and SimCC, MMPose's usual settings.
_base_ = '../_base_/budget/{{$UNSCT_BUDGET:gpu}}.py'
codec = dict(
    type='SimCCLabel',
    input_size=_base_.input_size,
    sigma=(_base_.simcc_sigma, _base_.simcc_sigma),
    simcc_split_ratio=2.0,
    normalize=False,
    use_dark=False,
)
model = dict(
    type='TopdownPoseEstimator',
    data_preprocessor=_base_.data_preprocessor,
    backbone=dict(
        type='CSPNeXt',
        arch='P5',
        expand_ratio=0.5,
        deepen_factor=_base_.csp_next.deepen_factor,
        widen_factor=_base_.csp_next.widen_factor,
        out_indices=(4,),
        channel_attention=True,
        norm_cfg=dict(type='BN'),
        act_cfg=dict(type='SiLU'),
    ),
    head=dict(
        type='RTMCCHead',
        in_channels=_base_.csp_next.channels,
        out_channels=24,
        input_size=_base_.input_size,
        in_featuremap_size=tuple(size // 32 for size in _base_.input_size),
        simcc_split_ratio=2.0,
        final_layer_kernel_size=7,
        gau_cfg=dict(
            hidden_dims=256,
            s=128,
            expansion_factor=2,
            dropout_rate=0.0,
            drop_path=0.0,
            act_fn='SiLU',
            use_rel_bias=False,
            pos_enc=False,
        ),
        loss=dict(type='KLDiscretLoss', use_target_weight=True, beta=10.0, label_softmax=True),
        decoder=codec,
    ),
    test_cfg=dict(flip_test=True),
)
optim_wrapper = dict(
    optimizer=dict(type='AdamW', weight_decay=0.05),
    paramwise_cfg=dict(norm_decay_mult=0, bias_decay_mult=0, bypass_duplicate=True),
)
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            *_base_.train_stages,
            dict(type='GenerateTarget', encoder=codec),
            dict(type='PackPoseInputs'),
        ]
    )
)
