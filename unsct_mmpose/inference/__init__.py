"""From files to predictions: models in PyTorch and ONNX, inferencers, whole runs over folders."""
