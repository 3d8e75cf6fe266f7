//! Small pieces of text, for people, spreadsheets and Markdown.

/// `1 rater`, `2 raters`.
pub fn count(n: usize, of: &str) -> String {
    if n == 1 { format!("1 {of}") } else { format!("{n} {of}s") }
}

/// A field of CSV that no spreadsheet takes for a formula: what would be one begins with `'`.
pub fn harmless(field: &str) -> String {
    let formula =
        field.starts_with(['=', '+', '@', '\t', '\r']) || (field.starts_with('-') && field.parse::<f64>().is_err());
    if formula { format!("'{field}") } else { field.to_owned() }
}

/// Text in one paragraph of Markdown, every character of which means itself.
pub fn markdown(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.split_whitespace().collect::<Vec<_>>().join(" ").chars() {
        if "\\`*_[]<>#|~&".contains(c) || (safe.is_empty() && "-+".contains(c)) {
            safe.push('\\');
        }
        safe.push(c);
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::{count, harmless, markdown};

    #[test]
    fn one_has_no_plural() {
        assert_eq!([0, 1, 2].map(|n| count(n, "rater")), ["0 raters", "1 rater", "2 raters"]);
    }

    #[test]
    fn no_field_is_a_formula() {
        assert_eq!(harmless("=1+1"), "'=1+1");
        assert_eq!(harmless("-cmd"), "'-cmd");
        assert_eq!(harmless("-0.5"), "-0.5");
        assert_eq!(harmless("Grad-CAM"), "Grad-CAM");
    }

    #[test]
    fn nothing_becomes_markup() {
        assert_eq!(markdown("# a_b\n\n- *c* <i> [d](e)"), r"\# a\_b - \*c\* \<i\> \[d\](e)");
        assert_eq!(markdown("- no list"), r"\- no list");
        assert_eq!(markdown("Grad-CAM++ 3"), "Grad-CAM++ 3");
    }
}
