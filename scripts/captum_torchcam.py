"""Holds HiResCAM and Grad-CAM of a module of PyTorch against what captum and torch-cam make of it.

    pip install torch torchvision captum==0.9.0 torchcam==0.5.0 ./crates/python
    python scripts/captum_torchcam.py

It prints how far the raw maps are apart, as a share of the largest cell.
"""

import warnings

import numpy as np
import torch
import torchvision
from captum.attr import LayerGradCam, LayerGradientXActivation
from torchcam.methods import GradCAM, GradCAMpp

import hirescam

CLASS = 7


def main():
    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    model = torchvision.models.resnet18().eval()
    x = torch.randn(1, 3, 96, 96)
    network = hirescam.from_torch(model, x)

    def ours(layer, method):
        return network.explain(x, layer=layer, class_=CLASS, method=method)[0].map

    def apart(name, theirs, mine):
        print(f"{name}: {np.abs(theirs - mine).max() / np.abs(mine).max():.0e}")

    for layer in (model.layer4, model.layer3):
        name = network.layer(layer)
        product = LayerGradientXActivation(model, layer).attribute(x, target=CLASS)
        apart(f"{name}, captum LayerGradientXActivation summed over channels, HiResCAM", product.sum(1)[0].detach().numpy(), ours(layer, "hirescam"))
        cam = LayerGradCam(model, layer).attribute(x, target=CLASS, attr_dim_summation=True)
        apart(f"{name}, captum LayerGradCam, Grad-CAM", cam[0, 0].detach().numpy(), ours(layer, "gradcam"))
        for kind, method in ((GradCAM, "gradcam"), (GradCAMpp, "gradcam++")):
            with kind(model, layer) as extractor:
                made = extractor(CLASS, model(x), normalized=False)[0][0].detach().numpy()
            mine = np.maximum(ours(layer, method), 0)
            apart(f"{name}, torch-cam {kind.__name__}, {method} rectified, both to 1", made / made.max(), mine / mine.max())


if __name__ == "__main__":
    main()
