# fmt: off
# The 24 landmarks of Table 1 and the links that are drawn, in the form of MMPose's own data sets:
# metainfo=dict(from_file='configs/_base_/datasets/tha.py'). THADataset has it built in;
# a test holds that both are the same.
dataset_info = dict(
    dataset_name='tha',
    paper_info=dict(
        author='Wan et al.',
        title='UNSCT-HRNet: Modeling Anatomical Uncertainty for Landmark Detection in '
        'Total Hip Arthroplasty',
    ),
    keypoint_info={
        0: dict(
            name='left_innermost_ilium', id=0, color=[255, 128, 0], type='upper',
            swap='right_innermost_ilium',
        ),
        1: dict(
            name='left_y_cartilage_center', id=1, color=[255, 128, 0], type='upper',
            swap='right_y_cartilage_center',
        ),
        2: dict(
            name='left_acetabulum_upper_edge', id=2, color=[255, 128, 0], type='upper',
            swap='right_acetabulum_upper_edge',
        ),
        3: dict(
            name='left_acetabulum_lower_edge', id=3, color=[255, 128, 0], type='upper',
            swap='right_acetabulum_lower_edge',
        ),
        4: dict(
            name='left_fovea', id=4, color=[255, 128, 0], type='upper',
            swap='right_fovea',
        ),
        5: dict(
            name='left_femoral_head_center', id=5, color=[255, 128, 0], type='upper',
            swap='right_femoral_head_center',
        ),
        6: dict(
            name='left_greater_trochanter_tip', id=6, color=[255, 128, 0], type='upper',
            swap='right_greater_trochanter_tip',
        ),
        7: dict(
            name='left_teardrop_lower_edge', id=7, color=[255, 128, 0], type='upper',
            swap='right_teardrop_lower_edge',
        ),
        8: dict(
            name='left_ischium_bottom', id=8, color=[255, 128, 0], type='upper',
            swap='right_ischium_bottom',
        ),
        9: dict(
            name='left_femoral_neck_distal_midpoint', id=9, color=[255, 128, 0], type='upper',
            swap='right_femoral_neck_distal_midpoint',
        ),
        10: dict(
            name='left_femoral_shaft_proximal_midpoint', id=10, color=[255, 128, 0], type='upper',
            swap='right_femoral_shaft_proximal_midpoint',
        ),
        11: dict(
            name='left_femoral_shaft_distal_midpoint', id=11, color=[255, 128, 0], type='upper',
            swap='right_femoral_shaft_distal_midpoint',
        ),
        12: dict(
            name='right_innermost_ilium', id=12, color=[0, 153, 255], type='upper',
            swap='left_innermost_ilium',
        ),
        13: dict(
            name='right_y_cartilage_center', id=13, color=[0, 153, 255], type='upper',
            swap='left_y_cartilage_center',
        ),
        14: dict(
            name='right_acetabulum_upper_edge', id=14, color=[0, 153, 255], type='upper',
            swap='left_acetabulum_upper_edge',
        ),
        15: dict(
            name='right_acetabulum_lower_edge', id=15, color=[0, 153, 255], type='upper',
            swap='left_acetabulum_lower_edge',
        ),
        16: dict(
            name='right_fovea', id=16, color=[0, 153, 255], type='upper',
            swap='left_fovea',
        ),
        17: dict(
            name='right_femoral_head_center', id=17, color=[0, 153, 255], type='upper',
            swap='left_femoral_head_center',
        ),
        18: dict(
            name='right_greater_trochanter_tip', id=18, color=[0, 153, 255], type='upper',
            swap='left_greater_trochanter_tip',
        ),
        19: dict(
            name='right_teardrop_lower_edge', id=19, color=[0, 153, 255], type='upper',
            swap='left_teardrop_lower_edge',
        ),
        20: dict(
            name='right_ischium_bottom', id=20, color=[0, 153, 255], type='upper',
            swap='left_ischium_bottom',
        ),
        21: dict(
            name='right_femoral_neck_distal_midpoint', id=21, color=[0, 153, 255], type='upper',
            swap='left_femoral_neck_distal_midpoint',
        ),
        22: dict(
            name='right_femoral_shaft_proximal_midpoint', id=22, color=[0, 153, 255], type='upper',
            swap='left_femoral_shaft_proximal_midpoint',
        ),
        23: dict(
            name='right_femoral_shaft_distal_midpoint', id=23, color=[0, 153, 255], type='upper',
            swap='left_femoral_shaft_distal_midpoint',
        ),
    },
    skeleton_info={
        0: dict(
            link=('left_femoral_shaft_proximal_midpoint', 'left_femoral_shaft_distal_midpoint'),
            id=0, color=[255, 128, 0],
        ),
        1: dict(
            link=('left_femoral_head_center', 'left_femoral_neck_distal_midpoint'),
            id=1, color=[255, 128, 0],
        ),
        2: dict(
            link=('left_femoral_neck_distal_midpoint', 'left_femoral_shaft_proximal_midpoint'),
            id=2, color=[255, 128, 0],
        ),
        3: dict(
            link=('left_greater_trochanter_tip', 'left_femoral_shaft_proximal_midpoint'),
            id=3, color=[255, 128, 0],
        ),
        4: dict(
            link=('left_fovea', 'left_femoral_head_center'),
            id=4, color=[255, 128, 0],
        ),
        5: dict(
            link=('left_fovea', 'left_greater_trochanter_tip'),
            id=5, color=[255, 128, 0],
        ),
        6: dict(
            link=('left_femoral_head_center', 'left_femoral_shaft_distal_midpoint'),
            id=6, color=[255, 128, 0],
        ),
        7: dict(
            link=('left_acetabulum_upper_edge', 'left_femoral_head_center'),
            id=7, color=[255, 128, 0],
        ),
        8: dict(
            link=('left_femoral_head_center', 'left_teardrop_lower_edge'),
            id=8, color=[255, 128, 0],
        ),
        9: dict(
            link=('left_acetabulum_upper_edge', 'left_teardrop_lower_edge'),
            id=9, color=[255, 128, 0],
        ),
        10: dict(
            link=('left_acetabulum_upper_edge', 'left_acetabulum_lower_edge'),
            id=10, color=[255, 128, 0],
        ),
        11: dict(
            link=('left_y_cartilage_center', 'left_acetabulum_upper_edge'),
            id=11, color=[255, 128, 0],
        ),
        12: dict(
            link=('left_y_cartilage_center', 'left_acetabulum_lower_edge'),
            id=12, color=[255, 128, 0],
        ),
        13: dict(
            link=('left_innermost_ilium', 'left_ischium_bottom'),
            id=13, color=[255, 128, 0],
        ),
        14: dict(
            link=('left_teardrop_lower_edge', 'left_ischium_bottom'),
            id=14, color=[255, 128, 0],
        ),
        15: dict(
            link=('right_femoral_shaft_proximal_midpoint', 'right_femoral_shaft_distal_midpoint'),
            id=15, color=[0, 153, 255],
        ),
        16: dict(
            link=('right_femoral_head_center', 'right_femoral_neck_distal_midpoint'),
            id=16, color=[0, 153, 255],
        ),
        17: dict(
            link=('right_femoral_neck_distal_midpoint', 'right_femoral_shaft_proximal_midpoint'),
            id=17, color=[0, 153, 255],
        ),
        18: dict(
            link=('right_greater_trochanter_tip', 'right_femoral_shaft_proximal_midpoint'),
            id=18, color=[0, 153, 255],
        ),
        19: dict(
            link=('right_fovea', 'right_femoral_head_center'),
            id=19, color=[0, 153, 255],
        ),
        20: dict(
            link=('right_fovea', 'right_greater_trochanter_tip'),
            id=20, color=[0, 153, 255],
        ),
        21: dict(
            link=('right_femoral_head_center', 'right_femoral_shaft_distal_midpoint'),
            id=21, color=[0, 153, 255],
        ),
        22: dict(
            link=('right_acetabulum_upper_edge', 'right_femoral_head_center'),
            id=22, color=[0, 153, 255],
        ),
        23: dict(
            link=('right_femoral_head_center', 'right_teardrop_lower_edge'),
            id=23, color=[0, 153, 255],
        ),
        24: dict(
            link=('right_acetabulum_upper_edge', 'right_teardrop_lower_edge'),
            id=24, color=[0, 153, 255],
        ),
        25: dict(
            link=('right_acetabulum_upper_edge', 'right_acetabulum_lower_edge'),
            id=25, color=[0, 153, 255],
        ),
        26: dict(
            link=('right_y_cartilage_center', 'right_acetabulum_upper_edge'),
            id=26, color=[0, 153, 255],
        ),
        27: dict(
            link=('right_y_cartilage_center', 'right_acetabulum_lower_edge'),
            id=27, color=[0, 153, 255],
        ),
        28: dict(
            link=('right_innermost_ilium', 'right_ischium_bottom'),
            id=28, color=[0, 153, 255],
        ),
        29: dict(
            link=('right_teardrop_lower_edge', 'right_ischium_bottom'),
            id=29, color=[0, 153, 255],
        ),
        30: dict(
            link=('left_teardrop_lower_edge', 'right_teardrop_lower_edge'),
            id=30, color=[160, 160, 160],
        ),
        31: dict(
            link=('left_femoral_head_center', 'right_femoral_head_center'),
            id=31, color=[160, 160, 160],
        ),
        32: dict(
            link=('left_y_cartilage_center', 'right_y_cartilage_center'),
            id=32, color=[160, 160, 160],
        ),
        33: dict(
            link=('left_innermost_ilium', 'right_innermost_ilium'),
            id=33, color=[160, 160, 160],
        ),
    },
    joint_weights=[1.0] * 24,
    sigmas=[0.025] * 24,
)
