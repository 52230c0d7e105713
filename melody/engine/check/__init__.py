"""A stranger's step graph, checked before ONNX Runtime sees it."""
