"""One photo explained by pytorch-grad-cam, from the start of Python to a written picture: cold_start.py NETWORK.pt PHOTO OUT.png

The shortest program that does what `hirescam explain` does by default; `lite0.py` beside it holds the network's class.
"""

import sys

import numpy as np
import torch
from PIL import Image
from pytorch_grad_cam import HiResCAM
from pytorch_grad_cam.utils.image import show_cam_on_image

network, photo, out = sys.argv[1:]
net = torch.load(network, weights_only=False)
image = Image.open(photo).convert("RGB")
scale = 256 / min(image.size)
image = image.resize([round(side * scale) for side in image.size], Image.Resampling.BICUBIC)
left, top = (image.width - 224) // 2, (image.height - 224) // 2
pixels = np.asarray(image.crop((left, top, left + 224, top + 224)), dtype=np.float32)
x = torch.from_numpy((pixels - 127) / 128).permute(2, 0, 1)[None]
with HiResCAM(net, [net.part("/_swish_1/Clip_output_0")]) as cam:
    heatmap = cam(x, targets=None)[0]
Image.fromarray(show_cam_on_image(pixels / 255, heatmap, use_rgb=True)).save(out)
