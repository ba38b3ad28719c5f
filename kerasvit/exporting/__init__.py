"""Models out of Keras: ONNX, SavedModel, LiteRT, OpenVINO, PyTorch programs and StableHLO.

`kerasvit.export` writes a model with its attention scores as named outputs, runs the file in the
runtime that it is for, and keeps it only where both give the same numbers.
"""

from kerasvit.exporting.formats import FORMATS

__all__ = ["FORMATS"]
