//! Makes a small study by hand, of grey discs, and serves it on loopback: what the tests in a real browser, the load and the checks of the
//! routes run against.
//!
//! ```text
//! sample KIND FOLDER [--slots N] [--items N] [--from WAY,…] [--database URL] [--hold SECONDS] [--listen 127.0.0.1:0]
//! ```
//!
//! It prints one line of JSON: address and owner's token.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

#[path = "../tests/common/mod.rs"]
mod common;

use common::{SMALL, Size, make};
use hirescam_server::study::{App, Options, Store, Study, store};
use std::path::Path;
use std::time::Duration;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let option = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).cloned()
    };
    let number = |name: &str, usual: usize| option(name).map_or(usual, |text| text.parse().expect(name));
    let (kind, folder) = (arguments.first().expect("a kind"), Path::new(arguments.get(1).expect("a folder")));
    let size = Size { slots: number("--slots", SMALL.slots), items: number("--items", SMALL.items), ..SMALL };
    if !folder.join("manifest.json").exists() {
        make(kind, size, folder);
    }
    let study = Study::open(folder).unwrap();
    let options = Options {
        ways: option("--from").unwrap_or("open".into()).split(',').map(|way| way.parse().unwrap()).collect(),
        hold: Duration::from_secs(number("--hold", 3600) as u64),
        trouble: |what| eprintln!("{what}"),
        ..Options::default()
    };
    let address = store::address(folder, option("--database").as_deref()).unwrap();
    let listen = option("--listen").unwrap_or("127.0.0.1:0".into()).parse().unwrap();
    common::wait(async {
        let store = Store::open(&address, &study.manifest).await.unwrap_or_else(|error| panic!("{error}"));
        let app = App::new(study, store, options).unwrap();
        let tell = |served: &hirescam_server::study::Served| {
            println!("{}", serde_json::json!({ "url": served.url, "token": served.owner_token }));
        };
        hirescam_server::study::serve(app, listen, tell).await.unwrap_or_else(|error| panic!("{error}"));
    });
}
