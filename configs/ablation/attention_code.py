# Polarized attention as its released code has it: softmax over the image, after the product.
_base_ = '../hrnet/unsct-hrnet.py'
model = dict(neck=dict(code_compatible=True))
