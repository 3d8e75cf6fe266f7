"""Networks that are models of Keras."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from . import _hirescam
from ._errors import ArgumentError, UnsupportedError
from ._hirescam import Spec
from ._network import Network

LOGGER = logging.getLogger("hirescam")

CLOSE = 1e-4
"""How far the exported network's scores may be from the model's, as a share of the largest."""


def from_keras(
    model: Any,
    *,
    shape: tuple[int, ...] | None = None,
    labels: Any = None,
    preprocess: Any = None,
    opset: int | None = None,
    tolerance: float = CLOSE,
) -> Network:
    """A network of a model of Keras, whose backend is TensorFlow.

    `shape` is that of one image, (224, 224, 3), where the model leaves it open. It is exported by tf2onnx, in memory, of the operator set `opset`, as it
    is when it is not trained. Its scores are held against the model's own on an image by chance; they may differ by `tolerance`, as a share of the
    largest. The model is left as it was.

    Layers have the names that tf2onnx gives their values, which begin with the layers' own: `net.layers()` lists them.

        net = hirescam.from_keras(model)
        e = net.explain(image)
    """
    try:
        import keras
        import tensorflow as tf
        import tf2onnx
    except ImportError as error:
        raise ImportError(
            "from_keras exports by tf2onnx, which takes TensorFlow: pip install tf2onnx tensorflow. "
            "A model of Keras whose backend is PyTorch is a torch.nn.Module: give it to from_torch"
        ) from error
    if not isinstance(model, keras.Model):
        what = f"{type(model).__module__}.{type(model).__qualname__}"
        raise ArgumentError(f"from_keras takes a keras.Model, and this is a {what}")
    inputs, outputs = getattr(model, "inputs", None), getattr(model, "outputs", None)
    if not inputs or len(inputs) != 1 or not outputs or len(outputs) != 1:
        raise UnsupportedError(
            f"the model has {len(inputs or ())} inputs and {len(outputs or ())} outputs, and from_keras takes one of each: make a keras.Model of the input "
            "and the output that matter, or export it by tf2onnx and open the file"
        )
    declared = tuple(inputs[0].shape)
    extents = declared[1:] if shape is None else tuple(shape)
    if len(extents) != len(declared) - 1 or any(of is not None and of != to for of, to in zip(declared[1:], extents)):
        raise ArgumentError(f"shape={shape}: the model takes images of {declared[1:]}")
    if any(n is None for n in extents):
        raise ArgumentError(f"the model takes images of any size, {declared[1:]}: say with shape=(224, 224, 3) which one is explained")
    dtype = tf.as_dtype(inputs[0].dtype)
    signature = [tf.TensorSpec((None, *extents), dtype, name="image")]
    evaluated = tf.function(lambda image: model(image, training=False), input_signature=signature)
    try:
        made, _ = tf2onnx.convert.from_function(evaluated, input_signature=signature, opset=opset)
    except Exception as error:
        raise UnsupportedError(f"tf2onnx cannot export the model: {type(error).__name__}: {error}") from error
    content = made.SerializeToString()
    example = np.random.default_rng(0).random((2, *extents)).astype(dtype.as_numpy_dtype)
    session = _hirescam.Session(content, Spec())
    found = next(iter(session.run({session.inputs[0]: example}).values()))
    expected = model(example, training=False).numpy()
    apart = float(np.abs(found - expected).max()) / (float(np.abs(expected).max()) or 1.0)
    if not apart <= tolerance:
        raise UnsupportedError(f"what tf2onnx made gives other scores than the model, by {apart:.1e} of the largest (tolerance={tolerance})")
    LOGGER.info("exported by tf2onnx; its scores differ from the model's by %.1e of the largest", apart)
    return Network(content, labels=labels, preprocess=preprocess)
