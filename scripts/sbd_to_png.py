"""Turns the Semantic Boundaries Dataset's MATLAB masks into PNG files, which hirescam reads. Needs numpy, Pillow and scipy.

    python scripts/sbd_to_png.py benchmark_RELEASE/dataset

cls/NAME.mat becomes cls_png/NAME.png and inst/NAME.mat becomes inst_png/NAME.png: one index a pixel (0 the background, 1 to 20 VOC's
classes, or the number of the object), with VOC's palette. What is there already stays, so that the script can be run again after it
was stopped. Files that cannot be read are named at the end, and the exit code is 1.
"""

import os
import pathlib
import sys

import numpy as np
import scipy.io
from PIL import Image


def palette():
    """VOC's colours: the bits of the index, spread over red, green and blue from the highest bit down."""
    colours = np.zeros((256, 3), np.uint8)
    for index in range(256):
        for bit in range(8):
            for channel in range(3):
                colours[index, channel] |= ((index >> channel) & 1) << (7 - bit)
            index >>= 3
    return colours.ravel().tolist()


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder, colours, broken = pathlib.Path(sys.argv[1]), palette(), []
    if not (folder / "cls").is_dir():
        sys.exit(f"{folder} has no folder cls: name the one that has (benchmark_RELEASE/dataset)")
    for kind in ("cls", "inst"):
        made = 0
        target = folder / f"{kind}_png"
        target.mkdir(exist_ok=True)
        for source in sorted((folder / kind).glob("*.mat")):
            path = target / f"{source.stem}.png"
            if path.exists():
                continue
            try:
                mask = scipy.io.loadmat(source)[f"GT{kind}"]["Segmentation"][0, 0]
                image = Image.fromarray(np.asarray(mask, np.uint8), mode="P")
            except Exception as error:
                broken.append(f"{source}: {error}")
                continue
            image.putpalette(colours)
            # Under another name until it is whole.
            image.save(path.with_suffix(".part"), format="PNG", optimize=True)
            os.replace(path.with_suffix(".part"), path)
            made += 1
        print(f"{target}: {made} made, {sum(1 for _ in target.glob('*.png'))} in all")
    if broken:
        sys.exit("\n".join([f"{len(broken)} files could not be read:", *broken]))


if __name__ == "__main__":
    main()
