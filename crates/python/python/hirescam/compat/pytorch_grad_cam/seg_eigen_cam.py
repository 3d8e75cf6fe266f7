"""Seg-Eigen-CAM."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._products import ProjectedCAM
from .utils.svd_on_activations import get_2d_projection_with_sign_correction


class SegEigenCAM(ProjectedCAM):
    """The first principal component of activation times |gradient|, with the sign of its strongest place. Chung and Ying, Applied Sciences 2025."""

    def of_places(self, activations: NDArray[Any], grads: NDArray[Any]) -> NDArray[Any]:
        made: NDArray[Any] = np.abs(grads) * activations
        return made

    def joined(self, made: NDArray[Any], eigen_smooth: bool) -> NDArray[Any]:
        return get_2d_projection_with_sign_correction(made)
