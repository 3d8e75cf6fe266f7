//! How pictures look.

use super::read;
use crate::Error;
use crate::colormap::colormap;
use crate::fusion::Fuse;
use crate::overlay::{Arrangement, Font, OverlayError, Scales, Style};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::PathBuf;

/// How pictures look.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::Args))]
#[cfg_attr(feature = "clap", command(next_help_heading = "Pictures"))]
#[serde(default, deny_unknown_fields)]
pub struct Picture {
    /// Show negative evidence too, in diverging colours
    #[cfg_attr(feature = "clap", arg(long))]
    pub signed: bool,
    /// How much of the photo the strongest colours cover, from 0 to 1
    #[cfg_attr(feature = "clap", arg(long, value_name = "SHARE", default_value_t = Picture::default().opacity))]
    pub opacity: f32,
    /// The colour map, by matplotlib's name: viridis, inferno, magma, plasma, cividis, turbo, gray, jet; for signed maps glow (ours,
    /// for dark and light photos), coolwarm, RdBu_r, seismic, bwr [default: inferno, or glow for signed maps]
    #[cfg_attr(feature = "clap", arg(long, value_name = "NAME"))]
    pub colormap: Option<String>,
    /// Let the colours end at this percentile of the cells that are not 0, instead of at the largest: for maps of pixels, 99 or so
    #[cfg_attr(feature = "clap", arg(long, value_name = "PERCENTILE"))]
    pub clip: Option<f32>,
    /// Show the map's cells as they are, without blending one into the next
    #[cfg_attr(feature = "clap", arg(long))]
    pub sharp: bool,
    /// A font (.ttf, .otf) for labels that the bundled ones cannot write, as Chinese ones
    #[cfg_attr(feature = "clap", arg(long, value_name = "FILE"))]
    #[serde(serialize_with = "read::path")]
    pub font: Option<PathBuf>,
    /// The longer side of the photo in the picture, in pixels [default: between 720 and 1440; for the overlay alone, the photo's own]
    #[cfg_attr(feature = "clap", arg(long, value_name = "PIXELS"))]
    pub side: Option<u32>,
    /// What the picture of one map consists of.
    #[cfg_attr(feature = "clap", arg(skip))]
    pub layout: Arrangement,
    /// Which scales the colours of maps side by side have.
    #[cfg_attr(feature = "clap", arg(skip))]
    pub scale: Scales,
    /// How the maps of several layers become one more.
    #[cfg_attr(feature = "clap", arg(skip))]
    #[serde(with = "read::as_text")]
    pub fuse: Option<Fuse>,
}

impl Default for Picture {
    fn default() -> Self {
        let Style { opacity, layout, sharp, .. } = Style::default();
        Picture {
            signed: false,
            opacity,
            colormap: None,
            clip: None,
            sharp,
            font: None,
            side: None,
            layout,
            scale: Scales::default(),
            fuse: None,
        }
    }
}

impl Picture {
    /// The style, without title and caption.
    ///
    /// # Errors
    /// [`Error::File`] for a font that cannot be read, [`Error::Overlay`] for an unknown colour map.
    pub fn style(&self) -> Result<Style, Error> {
        let font = self.font.as_ref().map(|path| {
            let fail = |error| Error::File { path: path.clone(), error };
            let bytes = std::fs::read(path).map_err(fail)?;
            Font::read(bytes).map_err(|error| fail(io::Error::new(io::ErrorKind::InvalidData, error)))
        });
        Ok(Style {
            opacity: self.opacity,
            colormap: self.colormap.as_deref().map(colormap).transpose().map_err(OverlayError::from)?,
            clip: self.clip,
            sharp: self.sharp,
            font: font.transpose()?,
            side: self.side,
            layout: self.layout,
            ..Style::default()
        })
    }
}
