"""Step graphs: one step of a model as ONNX."""
