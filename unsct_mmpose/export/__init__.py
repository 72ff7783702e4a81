"""Models handed on: ONNX graphs, quantization, small checkpoints."""

import unsct_mmpose.register  # noqa: F401
