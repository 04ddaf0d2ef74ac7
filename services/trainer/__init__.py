"""Trains models on data sets and publishes them as one ONNX file each."""
