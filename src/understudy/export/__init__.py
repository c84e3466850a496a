"""Trained encoders as int8 ONNX graphs, with their agreement to the float model."""
