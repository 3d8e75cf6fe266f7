//! The page: its built files, which are a part of the program.

use crate::view::failure::Failure;
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use hirescam::html::base64;
use rust_embed::RustEmbed;
use sha2::{Digest, Sha256};

/// What `npm run build` in `web/` makes.
#[derive(RustEmbed)]
#[folder = "../../web/dist"]
struct Built;

/// Kept by browsers for good: names of such files change with what they hold.
const KEPT: &str = "public, max-age=31536000, immutable";

/// The page.
pub(crate) async fn index() -> Response {
    found("index.html")
}

/// A file of the page.
pub(crate) async fn file(Path(file): Path<String>) -> Response {
    found(&file)
}

fn found(file: &str) -> Response {
    let Some(built) = Built::get(file) else {
        return Failure::new(StatusCode::NOT_FOUND, "not-found", "there is nothing at this address").into_response();
    };
    let kind = match file.rsplit_once('.').map(|(_, ending)| ending) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("woff2") => "font/woff2",
        Some("json") => "application/json",
        _ => "application/octet-stream",
    };
    let kept = if file.starts_with("assets/") { KEPT } else { "no-cache" };
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, kept)], built.data).into_response()
}

/// The page in one file that shows `data`, which is JSON, and asks nobody for anything: scripts and styles are put into it, and the data as JSON in an
/// element of the id `offline`.
///
/// # Errors
/// A [`Failure`] where the built page is not as `npm run build` makes it.
pub(crate) fn offline(data: &str) -> Result<String, Failure> {
    let text = |file: &str| {
        let built = Built::get(file.trim_start_matches(['.', '/']));
        built.and_then(|built| String::from_utf8(built.data.into_owned()).ok())
    };
    let page = text("index.html").ok_or_else(Failure::broken)?;
    Ok(in_one(&page, text, data))
}

/// The page with the files that it names in it.
fn in_one(page: &str, text: impl Fn(&str) -> Option<String>, data: &str) -> String {
    // In JSON, `<` stands in strings only.
    let data = data.replace('<', "\\u003c");
    let (mut made, mut scripts, mut hashes, mut rest) = (String::new(), String::new(), String::new(), page);
    while let Some(at) = rest.find(['<']) {
        let (before, tag) = rest.split_at(at);
        made += before;
        let end = tag.find('>').map_or(tag.len(), |end| end + 1);
        let (tag, after) = tag.split_at(end);
        rest = after;
        let attribute = |name: &str| {
            let value = tag.split_once(&format!("{name}=\""))?.1;
            value.split_once('"').map(|(value, _)| value)
        };
        if tag.starts_with("<script")
            && let Some(script) = attribute("src").and_then(&text)
        {
            // No script may end the element that it stands in.
            let script = script.replace("</script", "<\\/script").replace("<!--", "<\\!--");
            hashes += &format!(" 'sha256-{}'", base64(&Sha256::digest(script.as_bytes())));
            // It runs when the whole page is there, as scripts of a file do.
            scripts += &format!("<script type=\"module\">{script}</script>\n");
            rest = rest.strip_prefix("</script>").unwrap_or(rest);
        } else if tag.starts_with("<link") {
            // What is not put into the page is left out: icons, and scripts to be loaded beforehand.
            if let Some(style) = attribute("href").filter(|_| tag.contains("stylesheet")).and_then(&text) {
                made += &format!("<style>{}</style>", style.replace("</style", "<\\/style"));
            }
        } else if tag == "</body>" {
            made += &format!("<script type=\"application/json\" id=\"offline\">{data}</script>\n{scripts}{tag}");
        } else {
            made += tag;
        }
    }
    made += rest;
    let policy = format!("default-src 'none'; script-src{hashes}; style-src 'unsafe-inline'; img-src data: blob:");
    made.replacen("<head>", &format!("<head>\n<meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">"), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_in_one_file_names_no_other_and_nothing_ends_its_elements() {
        let page = "<!doctype html>\n<html>\n<head>\n<link rel=\"icon\" href=\"/icon.svg\">\n\
            <script type=\"module\" crossorigin src=\"/assets/a.js\"></script>\n\
            <link rel=\"stylesheet\" crossorigin href=\"/assets/a.css\">\n</head>\n<body>\n<div id=\"app\"></div>\n</body>\n</html>\n";
        let text = |file: &str| match file {
            "/assets/a.js" => Some("let a = '</script><b>';".to_owned()),
            "/assets/a.css" => Some("b { color: red }".to_owned()),
            _ => None,
        };
        let made = in_one(page, text, "{\"label\": \"</script><script>alert(1)</script>\"}");
        assert!(!made.contains("src=") && !made.contains("href="), "{made}");
        assert!(made.contains("<style>b { color: red }</style>") && made.contains("let a = '<\\/script><b>';"));
        // Of the data, and of the script.
        assert_eq!((made.matches("<script").count(), made.matches("</script>").count()), (2, 2), "{made}");
        assert!(made.contains("\\u003c/script>\\u003cscript>alert(1)"));
        assert!(made.contains("script-src 'sha256-") && made.find("id=\"offline\"") < made.find("let a"));
    }
}
