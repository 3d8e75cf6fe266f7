"""Models of Keras. Without tf2onnx, TensorFlow and Keras these tests are skipped."""

from __future__ import annotations

import importlib.util
from typing import Any

import hirescam
import numpy as np
import pytest

missing = [name for name in ("tf2onnx", "tensorflow", "keras") if importlib.util.find_spec(name) is None]
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.skipif(not missing, reason="all that is needed is installed")
def test_what_is_missing_is_told() -> None:
    with pytest.raises(ImportError, match="pip install tf2onnx"):
        hirescam.from_keras(None)


@pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")
def test_a_model_gives_its_own_scores() -> None:
    import keras

    keras.utils.set_random_seed(0)
    layers: Any = keras.layers
    model = keras.Sequential(
        [layers.Input((None, None, 3)), layers.Conv2D(8, 3), layers.ReLU(), layers.GlobalAveragePooling2D(), layers.Dense(4)]
    )
    with pytest.raises(hirescam.ArgumentError, match="shape="):
        hirescam.from_keras(model)
    net = hirescam.from_keras(model, shape=(20, 16, 3))
    image = np.random.default_rng(0).random((2, 20, 16, 3), dtype=np.float32)
    made = net.explain(image, class_=1)
    assert [e.score for e in made] == pytest.approx(model(image).numpy()[:, 1].tolist(), rel=1e-4)
    assert all(e.certificate.verdict == "exact" and e.map.shape == (18, 14) for e in made)
    with pytest.raises(hirescam.ArgumentError, match="keras.Model"):
        hirescam.from_keras(layers.Dense(3))
