//! Colour maps: matplotlib's own 256 entries, value for value, and one made for overlays.

mod tables;

/// What a colour map is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColormapKind {
    /// From little to much: for rectified maps.
    Sequential,
    /// Two hues that meet in a neutral middle, which is the zero: for signed maps.
    Diverging,
}

/// A colour map: 256 colours for values from 0 to 1.
#[derive(Debug, PartialEq, Eq)]
pub struct Colormap {
    /// matplotlib's name, or `glow`.
    pub name: &'static str,
    /// What it is made for.
    pub kind: ColormapKind,
    table: &'static [u32; 256],
}

/// No colour map has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no colour map `{name}`; near: {}", near.join(", "))]
pub struct UnknownColormap {
    /// What was asked for.
    pub name: String,
    /// Names like it, nearest first.
    pub near: Vec<&'static str>,
}

/// All colour maps. `glow` is no map of matplotlib: its ends are bright, so that they stand out from dark photos as well as
/// from light ones. `jet` (and, less so, `turbo`) draws the middle brighter than the top: kept for comparison with others.
pub const COLORMAPS: &[Colormap] = &[
    Colormap { name: "viridis", kind: ColormapKind::Sequential, table: &tables::VIRIDIS },
    Colormap { name: "inferno", kind: ColormapKind::Sequential, table: &tables::INFERNO },
    Colormap { name: "magma", kind: ColormapKind::Sequential, table: &tables::MAGMA },
    Colormap { name: "plasma", kind: ColormapKind::Sequential, table: &tables::PLASMA },
    Colormap { name: "cividis", kind: ColormapKind::Sequential, table: &tables::CIVIDIS },
    Colormap { name: "turbo", kind: ColormapKind::Sequential, table: &tables::TURBO },
    Colormap { name: "gray", kind: ColormapKind::Sequential, table: &tables::GRAY },
    Colormap { name: "jet", kind: ColormapKind::Sequential, table: &tables::JET },
    Colormap { name: "glow", kind: ColormapKind::Diverging, table: &GLOW },
    Colormap { name: "coolwarm", kind: ColormapKind::Diverging, table: &tables::COOLWARM },
    Colormap { name: "RdBu_r", kind: ColormapKind::Diverging, table: &tables::RDBU_R },
    Colormap { name: "seismic", kind: ColormapKind::Diverging, table: &tables::SEISMIC },
    Colormap { name: "bwr", kind: ColormapKind::Diverging, table: &tables::BWR },
];

/// From bright blue over grey to bright red; the hue is there soon, for overlays fade towards the middle by themselves.
const GLOW: [u32; 256] = {
    const BLUE: [u32; 3] = [56, 140, 255];
    const RED: [u32; 3] = [255, 72, 40];
    const GREY: u32 = 150;
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256u32 {
        let (end, distance) = if i < 128 { (BLUE, 255 - 2 * i) } else { (RED, 2 * i - 255) };
        // 1 − (1 − distance)³ of 255.
        let hue = 255 - (255 - distance).pow(3) / (255 * 255);
        let mut color = 0;
        let mut k = 0;
        while k < 3 {
            color = (color << 8) | ((GREY * (255 - hue) + end[k] * hue) / 255);
            k += 1;
        }
        table[i as usize] = color;
        i += 1;
    }
    table
};

/// The colour map of this name, upper or lower case.
///
/// # Errors
/// [`UnknownColormap`] with the three nearest names.
pub fn colormap(name: &str) -> Result<&'static Colormap, UnknownColormap> {
    COLORMAPS.iter().find(|map| map.name.eq_ignore_ascii_case(name)).ok_or_else(|| {
        let mut near: Vec<_> = COLORMAPS.iter().map(|map| map.name).collect();
        near.sort_by(|a, b| strsim::jaro_winkler(b, name).total_cmp(&strsim::jaro_winkler(a, name)));
        near.truncate(3);
        UnknownColormap { name: name.into(), near }
    })
}

impl Colormap {
    /// The colour of a value: entry ⌊256 t⌋, below 0 the first and from 1 the last, as matplotlib looks it up; NaN gets the first.
    pub fn color(&self, t: f32) -> [u8; 3] {
        // The cast saturates, and makes 0 of NaN.
        let entry = ((t * 256.0) as usize).min(255);
        let [_, r, g, b] = self.table[entry].to_be_bytes();
        [r, g, b]
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn known_colours_of_matplotlib() {
        let viridis = colormap("viridis").unwrap();
        // matplotlib.colormaps["viridis"](0.0), (0.5) and (1.0), times 255, cut.
        assert_eq!(viridis.color(0.0), [68, 1, 84]);
        assert_eq!(viridis.color(0.5), [32, 144, 140]);
        assert_eq!(viridis.color(1.0), [253, 231, 36]);
        assert_eq!(colormap("bwr").unwrap().color(0.0), [0, 0, 255]);
        assert_eq!(colormap("gray").unwrap().color(128.5 / 256.0), [128; 3]);
    }

    #[test]
    fn lookup_is_clipped() {
        let gray = colormap("gray").unwrap();
        for (t, level) in [
            (-1.0, 0),
            (f32::NAN, 0),
            (f32::NEG_INFINITY, 0),
            (0.003_906, 0),
            (0.003_907, 1),
            (7.0, 255),
            (f32::INFINITY, 255),
        ] {
            assert_eq!(gray.color(t), [level; 3], "{t}");
        }
    }

    #[test]
    fn diverging_maps_are_neutral_in_the_middle() {
        for map in COLORMAPS.iter().filter(|map| map.kind == ColormapKind::Diverging) {
            let [r, g, b] = map.color(0.5);
            assert!(r.max(g).max(b) - r.min(g).min(b) <= 6, "{}", map.name);
        }
    }

    #[test]
    fn perceptual_maps_grow_lighter_all_the_way() {
        // Rec. 709 luminance of the linearised colour; entries are cut to 8 bits, so steps of a level are allowed.
        let light = |[r, g, b]: [u8; 3]| {
            let linear = |c: u8| (f64::from(c) / 255.0).powf(2.2);
            0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b)
        };
        let grows = |map: &Colormap| {
            (0..255u8).all(|i| {
                light(map.color((f32::from(i) + 1.5) / 256.0)) > light(map.color((f32::from(i) + 0.5) / 256.0)) - 2e-3
            })
        };
        for name in ["viridis", "inferno", "magma", "plasma", "cividis", "gray"] {
            assert!(grows(colormap(name).unwrap()), "{name}");
        }
        assert!(!grows(colormap("jet").unwrap()));
    }

    #[test]
    fn unknown_names_get_near_ones() {
        assert_eq!(colormap("rdbu_R").unwrap().name, "RdBu_r");
        assert_eq!(colormap("virdis").unwrap_err().near[0], "viridis");
        assert!(colormap("").is_err());
    }
}
