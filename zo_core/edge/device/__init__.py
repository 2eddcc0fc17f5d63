"""What runs on a device: numpy, ONNX Runtime and Pillow, and no torch."""
