"""pytorch-grad-cam's interface (1.5.7), with this library under it: in place of `pytorch_grad_cam`, write `hirescam.compat.pytorch_grad_cam`.

    from hirescam.compat.pytorch_grad_cam import GradCAM, HiResCAM
    from hirescam.compat.pytorch_grad_cam.utils.image import show_cam_on_image
    from hirescam.compat.pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    with GradCAM(model=model, target_layers=[model.layer4[-1]]) as cam:
        grayscale_cam = cam(input_tensor=x, targets=[ClassifierOutputTarget(281)])[0, :]

The maps are that library's: rectified, from 0 to 1, of the image's size. The module is exported once for each size of image, and again when its weights
have changed; it is left as it was. docs/coming-from.md says what differs.
"""

from .ablation_cam import AblationCAM
from .ablation_layer import AblationLayer, AblationLayerFasterRCNN, AblationLayerVit
from .activations_and_gradients import ActivationsAndGradients
from .base_cam import BaseCAM
from .eigen_cam import EigenCAM
from .eigen_grad_cam import EigenGradCAM
from .feature_factorization.deep_feature_factorization import DeepFeatureFactorization, run_dff_on_image
from .fem import FEM
from .finer_cam import FinerCAM
from .fullgrad_cam import FullGrad
from .grad_cam import GradCAM
from .grad_cam_elementwise import GradCAMElementWise
from .grad_cam_plusplus import GradCAMPlusPlus
from .guided_backprop import GuidedBackpropReLUModel
from .hirescam import HiResCAM
from .kpca_cam import KPCA_CAM
from .layer_cam import LayerCAM
from .metrics import cam_mult_image, road
from .random_cam import RandomCAM
from .refine_cam import RefineCAM
from .score_cam import ScoreCAM
from .seg_eigen_cam import SegEigenCAM
from .sess import SESS
from .shapley_cam import ShapleyCAM
from .utils import model_targets, reshape_transforms
from .utils.image import preprocess_image, scale_cam_image, show_cam_on_image
from .utils.model_targets import (
    BinaryClassifierOutputTarget,
    ClassifierOutputReST,
    ClassifierOutputSoftmaxTarget,
    ClassifierOutputTarget,
    RawScoresOutputTarget,
    SemanticSegmentationTarget,
)
from .xgrad_cam import XGradCAM

__all__ = [
    "AblationCAM",
    "AblationLayer",
    "AblationLayerFasterRCNN",
    "AblationLayerVit",
    "ActivationsAndGradients",
    "BaseCAM",
    "BinaryClassifierOutputTarget",
    "ClassifierOutputReST",
    "ClassifierOutputSoftmaxTarget",
    "ClassifierOutputTarget",
    "DeepFeatureFactorization",
    "EigenCAM",
    "EigenGradCAM",
    "FEM",
    "FinerCAM",
    "FullGrad",
    "GradCAM",
    "GradCAMElementWise",
    "GradCAMPlusPlus",
    "GuidedBackpropReLUModel",
    "HiResCAM",
    "KPCA_CAM",
    "LayerCAM",
    "RandomCAM",
    "RawScoresOutputTarget",
    "RefineCAM",
    "SESS",
    "ScoreCAM",
    "SegEigenCAM",
    "SemanticSegmentationTarget",
    "ShapleyCAM",
    "XGradCAM",
    "cam_mult_image",
    "model_targets",
    "preprocess_image",
    "reshape_transforms",
    "road",
    "run_dff_on_image",
    "scale_cam_image",
    "show_cam_on_image",
]
