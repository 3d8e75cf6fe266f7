//! Commands that a program was built without.

/// The module of a command that takes whatever it is given and says how to get it, where its feature is not built in:
/// `missing!(study::Study, "study")`.
macro_rules! missing {
    ($module:ident::$command:ident, $feature:literal) => {
        #[cfg(not(feature = $feature))]
        pub mod $module {
            //! What a program without it says.
            use crate::error::Error;
            use std::ffi::OsString;

            /// What a program without it says.
            #[derive(clap::Args)]
            pub struct $command {
                /// Whatever was given
                #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
                rest: Vec<OsString>,
            }

            impl $command {
                /// Says how to get the command.
                pub fn run(&self) -> Result<u8, Error> {
                    let _ = &self.rest;
                    let feature = $feature;
                    Err(Error::Argument(format!(
                        "this program was built without `{feature}`: build it with `cargo install --path crates/cli --features {feature}`"
                    )))
                }
            }
        }
    };
}
pub(super) use missing;
