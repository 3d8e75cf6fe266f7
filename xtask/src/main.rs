//! Maintenance jobs of the workspace: `cargo xtask codegen` rewrites the ONNX messages from the schema, `cargo xtask docs`
//! the pages of `docs/` that list what the code has.

#[cfg(test)]
mod dependencies;
mod docs;

use std::path::{Path, PathBuf};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    match std::env::args().nth(1).as_deref() {
        Some("codegen") => Ok(std::fs::write(root().join(GENERATED), messages()?)?),
        Some("docs") => {
            docs::pages().into_iter().try_for_each(|(path, text)| Ok(std::fs::write(root().join(path), text)?))
        }
        _ => Err(USAGE.into()),
    }
}

const USAGE: &str = "usage: cargo xtask codegen   (rewrites crates/core/src/onnx/messages.rs from the ONNX schema)
       cargo xtask docs      (rewrites the pages of docs/ that list what the code has)";
const GENERATED: &str = "crates/core/src/onnx/messages.rs";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The Rust messages of `crates/core/proto/onnx-ml.proto`. Bytes fields are `bytes::Bytes`, so that weights are shared, never copied.
fn messages() -> Result<String> {
    let schema = protox::compile(["onnx-ml.proto"], [root().join("crates/core/proto")])?;
    let out = std::env::temp_dir().join(format!("hirescam-codegen-{}", std::process::id()));
    std::fs::create_dir_all(&out)?;
    prost_build::Config::new().out_dir(&out).bytes(["."]).disable_comments(["."]).compile_fds(schema)?;
    let text = std::fs::read_to_string(out.join("onnx.rs"))?;
    std::fs::remove_dir_all(&out)?;
    Ok(format!("// Made by `cargo xtask codegen` from crates/core/proto/onnx-ml.proto. Do not edit.\n{text}"))
}

#[cfg(test)]
#[allow(clippy::expect_used)]
mod tests {
    #[test]
    fn generated_messages_are_fresh() {
        let made = super::messages().expect("the schema compiles");
        let kept = std::fs::read_to_string(super::root().join(super::GENERATED)).expect("the file is there");
        assert!(made == kept, "stale: run `cargo xtask codegen`");
    }

    #[test]
    fn generated_pages_are_fresh() {
        for (path, made) in super::docs::pages() {
            let kept = std::fs::read_to_string(super::root().join(path)).expect("the page is there");
            assert!(made == kept, "{path} is stale: run `cargo xtask docs`");
        }
    }
}
