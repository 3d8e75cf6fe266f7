"""Seg-Eigen-CAM."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .base_cam import BaseCAM
from .utils.svd_on_activations import get_2d_projection_with_sign_correction


class SegEigenCAM(BaseCAM):
    """The first principal component of activation times |gradient|, with the sign of its strongest place. Chung and Ying, Applied Sciences 2025."""

    def get_cam_image(
        self,
        input_tensor: Any,
        target_layer: Any,
        targets: Any,
        activations: NDArray[Any],
        grads: NDArray[Any],
        eigen_smooth: bool = False,
    ) -> NDArray[Any]:
        return get_2d_projection_with_sign_correction(np.abs(grads) * activations)
