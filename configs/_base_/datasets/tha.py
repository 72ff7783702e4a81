# The landmarks of Table 1 and the links that are drawn, in the form of MMPose's own data sets:
# metainfo=dict(from_file='configs/_base_/datasets/tha.py'). They are those of THADataset, out of
# unsct_mmpose.anatomy.HIP.
dataset_info = dict(
    __import__('unsct_mmpose.datasets', fromlist=['THADataset']).THADataset.METAINFO,
    dataset_name='tha',
)
