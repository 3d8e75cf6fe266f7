"""Makes the fonts that overlays write with, cut down to the characters that can be set letter by letter, from left to right.

roboto-subset.ttf   Roboto Regular (Copyright 2015 Google Inc., Apache-2.0) from Debian's fonts-roboto-unhinted 0~20170802-3:
                    Latin, Latin-1, Latin Extended-A, Greek and a few symbols.
dejavu-subset.ttf   DejaVu Sans 2.37 (Bitstream Vera's licence and Arev's) from Debian's fonts-dejavu-core 2.37-6: what
                    Roboto's subset lacks of Latin (Vietnamese and others), Greek, Cyrillic, Armenian, Georgian, and symbols.

    apt-get download fonts-roboto-unhinted fonts-dejavu-core && for deb in *.deb; do dpkg -x $deb .; done
    pip install fonttools && python make_font.py usr/share/fonts/truetype
"""

import sys
from pathlib import Path

from fontTools import subset

HERE, FONTS = Path(__file__).parent, Path(sys.argv[1])
ROBOTO = [*range(0x20, 0x7F), *range(0xA0, 0x180), *range(0x391, 0x3CA), *map(ord, "–—‘’“”•…−×·±∞≈≠≤≥∂∑√")]
DEJAVU = [
    *range(0x180, 0x250),  # Latin Extended-B
    *range(0x250, 0x300),  # phonetic letters, modifiers
    *range(0x370, 0x530),  # Greek and Coptic, Cyrillic
    *range(0x531, 0x590),  # Armenian
    *range(0x10A0, 0x1100),  # Georgian
    *range(0x1E00, 0x2000),  # Latin Extended Additional, Greek Extended
    *range(0x2010, 0x2600),  # punctuation, currencies, arrows, mathematics, shapes; the box for what is missing
]


def cut(path, characters, name):
    options = subset.Options(layout_features=[], hinting=False, name_IDs=["*"], recalc_timestamp=False)
    font = subset.load_font(path, options)
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=characters)
    subsetter.subset(font)
    font.save(HERE / name)
    return set(font.getBestCmap())


have = cut(FONTS / "roboto/unhinted/RobotoTTF/Roboto-Regular.ttf", ROBOTO, "roboto-subset.ttf")
cut(FONTS / "dejavu/DejaVuSans.ttf", sorted(set(DEJAVU + ROBOTO) - have), "dejavu-subset.ttf")
