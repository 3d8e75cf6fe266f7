//! Pages of their own: no scripts, nothing from elsewhere.

/// What tells a page that was made here from others.
const GENERATOR: &str = "<meta name=\"generator\" content=\"hirescam\" />";

/// How a page begins.
pub fn start(title: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\" />\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\" />\n{GENERATOR}\n<title>{}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n",
        escape(title)
    )
}

/// How a page ends.
pub const END: &str = "</main>\n</body>\n</html>\n";

/// Whether a file is a page that was made here.
pub fn is_ours(bytes: &[u8]) -> bool {
    let head = bytes.get(..bytes.len().min(1024)).unwrap_or_default();
    head.windows(GENERATOR.len()).any(|part| part == GENERATOR.as_bytes())
}

const STYLE: &str = "
:root { color-scheme: light dark; --ink: #1c1c1e; --paper: #fff; --soft: #6b6b70; --line: #d8d8dc; --tint: #f4f4f6; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8e8ea; --paper: #18181a; --soft: #a0a0a6; --line: #3c3c40; --tint: #232326; }
}
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 72rem; margin: 0 auto; padding: 1.5rem 1rem 3rem; }
h1 { font-size: 1.5rem; line-height: 1.25; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 0 0 .5rem; overflow-wrap: anywhere; }
section { margin-top: 2rem; padding-top: 1rem; border-top: 1px solid var(--line); }
ul { list-style: none; margin: .5rem 0; padding: 0; overflow-wrap: anywhere; }
.small, figcaption, .place { color: var(--soft); font-size: .85rem; overflow-wrap: anywhere; }
.verdict { display: inline-block; margin-left: .5rem; padding: 0 .5rem; border: 1px solid var(--soft); border-radius: 1rem; font-size: .85rem; font-weight: normal; }
.wide { overflow-x: auto; margin: .75rem 0; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .6rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line); }
th { font-weight: 600; }
th.group { text-align: center; }
th.words, td.words { text-align: left; }
tbody tr:nth-child(odd) { background: var(--tint); }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); gap: .75rem; margin: .75rem 0; }
.wider { grid-template-columns: repeat(auto-fill, minmax(14rem, 1fr)); }
.wider figure { max-width: 22rem; }
figure { margin: 0; max-width: 14rem; break-inside: avoid; }
figure img { display: block; width: 100%; height: auto; }
a { color: inherit; }
h3 { font-size: 1rem; margin: 1.5rem 0 .5rem; overflow-wrap: anywhere; }
h4 { font-size: .9rem; margin: 1rem 0 .25rem; }
.better { color: var(--soft); font-weight: normal; }
td .small { white-space: nowrap; }
td.none { color: var(--soft); }
td.breaks { white-space: normal; overflow-wrap: anywhere; }
th.turned { vertical-align: bottom; }
th.turned span { writing-mode: vertical-rl; transform: rotate(180deg); font-weight: normal; }
details { margin: .75rem 0; }
summary { cursor: pointer; color: var(--soft); }
.legend { margin: .75rem 0 0; font-size: .85rem; }
.legend span { margin-right: 1rem; white-space: nowrap; }
.legend svg { width: .8rem; height: .8rem; vertical-align: -.1rem; }
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(20rem, 1fr)); gap: 1rem 1.5rem; margin: .75rem 0; }
.plots figure { max-width: 29rem; }
.plots svg { display: block; width: 100%; height: auto; color: var(--ink); }
dt { font-weight: 600; }
dd { margin: 0 0 .5rem; color: var(--soft); }
@media print {
  :root { color-scheme: light; --ink: #000; --paper: #fff; --soft: #444; --line: #bbb; --tint: #fff; }
  body { font-size: 10pt; }
  main { max-width: none; padding: 0; }
  .wide { overflow: visible; }
  .pictures { grid-template-columns: repeat(6, 1fr); }
  .plots { grid-template-columns: repeat(2, 1fr); }
  details::details-content { content-visibility: visible; height: auto; }
  table { font-size: 7.5pt; }
  th, td { padding: .1rem .25rem; }
  td .small { font-size: 6.5pt; }
  h2, h3, h4, tr { break-after: avoid; break-inside: avoid; }
}
";

/// Text as it stands in HTML, in attributes too. Control characters, which no page may hold, are left out.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\'' => escaped += "&#39;",
            c if c.is_control() && !c.is_whitespace() => {}
            c => escaped.push(c),
        }
    }
    escaped
}

/// Bytes as text, for what a page holds of them. RFC 4648, section 4.
pub fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let at = |i: usize| u32::from(chunk.get(i).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for digit in 0..4 {
            let six = (bits >> (18 - 6 * digit) & 63) as usize;
            text.push(if digit <= chunk.len() { DIGITS.get(six).map_or('=', |&d| d.into()) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_base64_as_in_the_rfc() {
        // RFC 4648, section 10.
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(base64(&[0xfb, 0xff, 0xbf]), "+/+/");
    }

    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(escape("<a b='c' d=\"e\">&\u{0}\u{1b}ü\n"), "&lt;a b=&#39;c&#39; d=&quot;e&quot;&gt;&amp;ü\n");
    }
}
