"""Where a convolutional network looked, and what is proven about that picture.

>>> import hirescam
>>> net = hirescam.Network("digits-cnn.onnx")
>>> e = net.explain("photos/seven.png")
>>> e.name, e.certificate.verdict
('7', 'locally-linear')

`net.explain` takes photos (a path, bytes, a Pillow image, an array of pixels) and ready tensors (arrays of floats, of NumPy, PyTorch, JAX …); one gives an
`Explanation`, a list a list, an iterator an iterator. All options of the command line are keywords, by the same names: `Spec` has them.

A module of PyTorch is made a network by `from_torch`, a model of Keras by `from_keras`; `hirescam.compat.pytorch_grad_cam` stands for that library.

Errors are `hirescam.Error` or one of its kinds. Nothing is printed; what there is to say goes to the logger "hirescam".
"""

from . import _engine, methods, metrics
from ._errors import (
    ArgumentError,
    CancelledError,
    ChangedError,
    DamagedError,
    EngineError,
    Error,
    ExistsError,
    FileError,
    FullError,
    InternalError,
    LabelsError,
    MemoryLimitError,
    MissingFileError,
    ModelError,
    NotFiniteError,
    NotFoundError,
    PictureError,
    PreprocessError,
    StoreError,
    TooManyErrors,
    UndefinedError,
    UnsupportedError,
)
from ._hirescam import Certificate, Explanation, Spec, __version__
from ._keras import from_keras
from ._network import Explainer, Explanations, ImageInput, Network, Report, strip
from ._torch import TorchNetwork, from_torch

# Before anything asks for an engine: what is found first holds.
_engine.look()

__all__ = [
    "ArgumentError",
    "CancelledError",
    "Certificate",
    "ChangedError",
    "DamagedError",
    "EngineError",
    "Error",
    "ExistsError",
    "Explainer",
    "Explanation",
    "Explanations",
    "FileError",
    "FullError",
    "ImageInput",
    "InternalError",
    "LabelsError",
    "MemoryLimitError",
    "MissingFileError",
    "ModelError",
    "Network",
    "NotFiniteError",
    "NotFoundError",
    "PictureError",
    "PreprocessError",
    "Report",
    "Spec",
    "StoreError",
    "TooManyErrors",
    "TorchNetwork",
    "UndefinedError",
    "UnsupportedError",
    "__version__",
    "from_keras",
    "from_torch",
    "methods",
    "metrics",
    "strip",
]
