"""Makes inter-subset.ttf from Inter's variable font: python subset.py 'Inter[opsz,wght].ttf' inter-subset.ttf

Needs fonttools. Takes the regular weight at optical size 14, keeps Latin and Greek letters, common signs and kerning,
and puts the digits of equal width (Inter's `tnum` feature) in the place of the others.
"""

import sys

from fontTools import subset
from fontTools.ttLib import TTFont
from fontTools.varLib import instancer

DIGITS = "zero one two three four five six seven eight nine".split()
RANGES = [
    (0x20, 0x7E),  # ASCII
    (0xA0, 0x17F),  # Latin-1 and Latin Extended-A
    (0x391, 0x3C9),  # Greek
    (0x2010, 0x2026),  # dashes, quotes, ellipsis
    (0x2030, 0x2030),  # per mille
    (0x2070, 0x2089),  # superscripts and subscripts
    (0x20AC, 0x20AC),  # euro
    (0x2190, 0x2193),  # arrows
    (0x2212, 0x2212),  # minus
    (0x221E, 0x221E),  # infinity
    (0x2248, 0x2248),  # about equal
    (0x2260, 0x2265),  # comparisons
]


def main(source: str, target: str) -> None:
    font = instancer.instantiateVariableFont(TTFont(source), {"opsz": 14, "wght": 400})
    for table in font["cmap"].tables:
        for value, name in enumerate(DIGITS):
            if ord("0") + value in table.cmap:
                table.cmap[ord("0") + value] = name + ".tf"
    options = subset.Options(
        layout_features=["kern"], hinting=False, glyph_names=False, notdef_outline=True, name_languages=[0x409]
    )
    options.name_IDs = [0, 1, 2, 3, 4, 5, 6, 13, 14]
    options.drop_tables += ["DSIG", "STAT", "GDEF", "GSUB", "gasp", "prep"]
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=[code for first, last in RANGES for code in range(first, last + 1)])
    subsetter.subset(font)
    font["head"].modified = font["head"].created
    font.recalcTimestamp = False
    font.save(target)


main(*sys.argv[1:])
