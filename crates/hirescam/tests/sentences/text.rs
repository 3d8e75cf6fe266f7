//! Reading a sentence from its beginning to its end.

/// What is left of a sentence.
pub struct Text<'a>(pub &'a str);

impl<'a> Text<'a> {
    /// Whether `words` come next; they are read.
    pub fn has(&mut self, words: &str) -> bool {
        match self.0.strip_prefix(words) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    /// `words` must come next.
    pub fn want(&mut self, words: &str) -> Result<(), String> {
        if self.has(words) { Ok(()) } else { Err(format!("{words:?} is not what comes at {:?}", self.0)) }
    }

    /// One of two must come next, as `first` says.
    pub fn want_if(&mut self, first: bool, words: &str, otherwise: &str) -> Result<(), String> {
        self.want(if first { words } else { otherwise })
    }

    /// What stands before `words`, which are read too.
    pub fn until(&mut self, words: &str) -> Result<&'a str, String> {
        let (before, rest) = self.0.split_once(words).ok_or_else(|| format!("no {words:?} in {:?}", self.0))?;
        self.0 = rest;
        Ok(before)
    }

    /// The number that comes next must be `is`, as far as its digits go.
    pub fn number(&mut self, is: f64) -> Result<(), String> {
        let part_of = |c: char| c.is_ascii_digit() || ".-−e".contains(c);
        let end = self.0.find(|c| !part_of(c)).unwrap_or(self.0.len());
        // A full stop behind a number ends the sentence.
        let end = if self.0[..end].ends_with('.') { end - 1 } else { end };
        let (text, rest) = self.0.split_at(end);
        self.0 = rest;
        match shows(text, is) {
            true => Ok(()),
            false => Err(format!("it says {text} of {is}")),
        }
    }

    /// A share in percent.
    pub fn percent(&mut self, share: f64) -> Result<(), String> {
        // What is nearly all is told from all.
        let nearly = (0.999_995..1.0).contains(&share.abs());
        self.number(if nearly { 99.999 * share.signum() } else { 100.0 * share })?;
        self.want(" %")
    }

    /// Nothing may be left.
    pub fn end(&self) -> Result<(), String> {
        if self.0.is_empty() { Ok(()) } else { Err(format!("nothing is known of {:?}", self.0)) }
    }
}

/// Whether a number in words is `is`, up to half of its last digit and the rounding of its making.
fn shows(text: &str, is: f64) -> bool {
    let text = text.replace('−', "-");
    let Ok(said) = text.parse::<f64>() else { return false };
    let (digits, power) = text.split_once('e').map_or((text.as_str(), 0), |(d, p)| (d, p.parse().unwrap_or(0)));
    let places = digits.split_once('.').map_or(0, |(_, behind)| behind.len());
    let unit = 10f64.powi(power - places as i32);
    // An exact 0 is told from what rounds to it: as "-0.0000" is not.
    (said - is).abs() <= 0.5 * unit * (1.0 + 1e-6) + 1e-9 * is.abs()
}
