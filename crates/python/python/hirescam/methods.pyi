# Made by crates/python/tests/test_methods.py.
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "cam",
    "eigencam",
    "eigengradcam",
    "elementwise_gradcam",
    "gradcam",
    "gradcam_plus_plus",
    "gradient_x_input",
    "hirescam",
    "layercam",
    "saliency",
    "xgradcam",
]

def identifier(name: str) -> str:
    """The name of a method as Python can write it: `gradcam++` is `gradcam_plus_plus`."""

def cam(activation: Any, gradient: Any, *, channels: int = 1) -> NDArray[np.float64]:
    """CAM: Σ_c w_c · A_c, w_c = places · g_c, with g = ∂s/∂A. Zhou et al. 2016, arXiv:1512.04150, eq. 2."""

def eigencam(activation: Any, gradient: Any, *, channels: int = 1) -> NDArray[np.float64]:
    """Eigen-CAM: A · v, v the first right singular vector of A [places × channels], with g = ∂s/∂A. Muhammad & Yeasin 2020, arXiv:2008.00299."""

def eigengradcam(activation: Any, gradient: Any, *, channels: int = 1) -> NDArray[np.float64]:
    """Eigen-Grad-CAM: M · v, v the first right singular vector of M = A ⊙ g [places × channels], with g = ∂s/∂A. pytorch-grad-cam, EigenGradCAM."""

def elementwise_gradcam(activation: Any, gradient: Any, *, channels: int = 1) -> NDArray[np.float64]:
    """Element-wise Grad-CAM: Σ_c relu(A_c ⊙ g_c), with g = ∂s/∂A. pytorch-grad-cam, GradCAMElementWise."""

def gradcam(activation: Any, gradient: Any, *, channels: int = 1) -> NDArray[np.float64]:
    """Grad-CAM: Σ_c mean_places(g_c) · A_c, with g = ∂s/∂A. Selvaraju et al. 2017, arXiv:1610.02391, eq. 1–2."""

def gradcam_plus_plus(activation: Any, gradient: Any, *, channels: int = 1) -> NDArray[np.float64]:
    """Grad-CAM++: Σ_c w_c · A_c, w_c = Σ_places α_c ⊙ relu(g_c), α_c = g_c² / (2 g_c² + g_c³ · Σ_places A_c), with g = ∂s/∂A. Chattopadhyay et al. 2018, arXiv:1710.11063, eq. 19."""

def gradient_x_input(activation: Any, gradient: Any, *, channels: int = 1) -> NDArray[np.float64]:
    """Gradient × input: Σ_c x_c ⊙ ∂s/∂x_c, at the image x, with g = ∂s/∂A. Shrikumar et al. 2016, arXiv:1605.01713."""

def hirescam(activation: Any, gradient: Any, *, channels: int = 1) -> NDArray[np.float64]:
    """HiResCAM: Σ_c A_c ⊙ g_c, with g = ∂s/∂A. Draelos & Carin 2020, arXiv:2011.08891."""

def layercam(activation: Any, gradient: Any, *, channels: int = 1) -> NDArray[np.float64]:
    """LayerCAM: Σ_c relu(g_c) ⊙ A_c, with g = ∂s/∂A. Jiang et al. 2021, IEEE TIP 30:5875."""

def saliency(activation: Any, gradient: Any, *, channels: int = 1) -> NDArray[np.float64]:
    """Saliency: max_c |∂s/∂x_c|, at the image x, with g = ∂s/∂A. Simonyan et al. 2014, arXiv:1312.6034, section 3.1."""

def xgradcam(activation: Any, gradient: Any, *, channels: int = 1) -> NDArray[np.float64]:
    """XGrad-CAM: Σ_c w_c · A_c, w_c = Σ_places (A_c ⊙ g_c) / Σ_places A_c, with g = ∂s/∂A. Fu et al. 2020, arXiv:2008.02312."""
