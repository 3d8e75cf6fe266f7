"""What pytorch-grad-cam has and is not here: each says what to use instead."""

from __future__ import annotations

from typing import Any

from ..._errors import UnsupportedError


class _Missing:
    instead = ""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise UnsupportedError(f"{type(self).__name__} is not here: {self.instead}")


class ShapleyCAM(_Missing):
    """Needs second derivatives."""

    instead = "it needs second derivatives. Where the head is piecewise linear they are 0 and its map is that of GradCAM; else use pytorch_grad_cam.ShapleyCAM"


class GuidedBackpropReLUModel(_Missing):
    """Changes what a ReLU's derivative is."""

    instead = 'it is not about the network, whose derivatives it changes. For detail in pixels use hirescam\'s method="integrated-gradients" or "smoothgrad"'


class SESS(_Missing):
    """Works on many parts of an image."""

    instead = "use a CAM of each part of the image, or hirescam's occlusion; else pytorch_grad_cam.SESS"


class DeepFeatureFactorization(_Missing):
    """Factorises activations."""

    instead = "use pytorch_grad_cam.DeepFeatureFactorization, or sklearn.decomposition.NMF on the activations"


class AblationLayerFasterRCNN(_Missing):
    """Ablates the levels of a pyramid."""

    instead = "detectors with more than one tensor as output are not exported as one: use pytorch_grad_cam"


def run_dff_on_image(*args: Any, **kwargs: Any) -> Any:
    """Factorises the activations of an image."""
    return DeepFeatureFactorization(*args, **kwargs)
