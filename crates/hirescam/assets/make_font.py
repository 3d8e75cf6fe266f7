"""Makes roboto-subset.ttf: Roboto Regular cut down to the characters that overlays write.

Roboto (Copyright 2015 Google Inc., Apache-2.0) from Debian's fonts-roboto-unhinted 0~20170802-3.
The subset keeps Latin, Latin-1 and Latin Extended-A (labels), Greek and a few symbols (numbers, captions).

    apt-get download fonts-roboto-unhinted && dpkg -x fonts-roboto-unhinted_*.deb .
    python make_font.py usr/share/fonts/truetype/roboto/unhinted/RobotoTTF/Roboto-Regular.ttf
"""

import sys
from pathlib import Path

from fontTools import subset

RANGES = [(0x20, 0x7E), (0xA0, 0x17F), (0x391, 0x3C9)]
SYMBOLS = "–—‘’“”•…−×·±∞≈≠≤≥∂∑√"

options = subset.Options(layout_features=[], hinting=False, name_IDs=["*"], recalc_timestamp=False)
font = subset.load_font(sys.argv[1], options)
subsetter = subset.Subsetter(options)
subsetter.populate(unicodes=[c for lo, hi in RANGES for c in range(lo, hi + 1)] + [ord(c) for c in SYMBOLS])
subsetter.subset(font)
missing = [c for c in SYMBOLS if ord(c) not in font.getBestCmap()]
print("not in Roboto:", " ".join(missing) or "none")
font.save(Path(__file__).parent / "roboto-subset.ttf")
