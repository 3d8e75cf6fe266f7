//! Random names, and what is signed: sessions, pages, links (HMAC-SHA-256, RFC 2104, compared in constant time).

use crate::study::Error;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The length of a study's secret in bytes.
pub(crate) const SECRET: usize = 64;

/// A new secret.
pub(crate) fn secret() -> Result<[u8; SECRET], Error> {
    let mut bytes = [0; SECRET];
    fill(&mut bytes)?;
    Ok(bytes)
}

/// 128 random bits as text that can stand in an address.
pub(crate) fn random() -> Result<String, Error> {
    let mut bytes = [0; 16];
    fill(&mut bytes)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

fn fill(bytes: &mut [u8]) -> Result<(), Error> {
    getrandom::fill(bytes).map_err(|e| Error::Invalid(format!("the system has no random numbers: {e}")))
}

/// What something is signed for: a signature for one purpose is none for another.
#[derive(Clone, Copy, Debug)]
pub(crate) enum For {
    /// Beginning, on the page of consent.
    Ticket,
    /// The answer to a trial that was shown.
    Page,
    /// Coming back.
    Resume,
    /// Withdrawing.
    Withdraw,
    /// A single-use link.
    Link,
    /// What the owner does.
    Owner,
}

/// Signs, and tells what was signed.
#[derive(Clone)]
pub(crate) struct Signer(Hmac<Sha256>);

impl Signer {
    pub(crate) fn new(secret: &[u8; SECRET]) -> Result<Self, Error> {
        Ok(Signer(Hmac::new_from_slice(secret).map_err(|e| Error::Invalid(e.to_string()))?))
    }

    fn mac(&self, purpose: For, text: &str) -> Hmac<Sha256> {
        self.0.clone().chain_update(format!("{purpose:?}\0")).chain_update(text)
    }

    /// The text with its signature after a point.
    pub(crate) fn sign(&self, purpose: For, text: &str) -> String {
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(self.mac(purpose, text).finalize().into_bytes()))
    }

    /// The text without its signature; none where that is not ours.
    pub(crate) fn open<'a>(&self, purpose: For, signed: &'a str) -> Option<&'a str> {
        let (text, signature) = signed.rsplit_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        self.mac(purpose, text).verify_slice(&signature).ok().map(|()| text)
    }
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A secret from hexadecimal digits.
pub(crate) fn unhex(text: &str) -> Option<[u8; SECRET]> {
    let pair = |at: usize| text.get(2 * at..2 * at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    let bytes: Vec<u8> = (0..text.len() / 2).map(pair).collect::<Option<_>>()?;
    bytes.try_into().ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_for_one_text_one_purpose_and_one_secret() {
        let signer = Signer::new(&[1; SECRET]).unwrap();
        let signed = signer.sign(For::Resume, "a.b");
        assert_eq!(signer.open(For::Resume, &signed), Some("a.b"));
        assert_eq!(signer.open(For::Withdraw, &signed), None);
        assert_eq!(signer.open(For::Resume, &signed.replace("a.b", "a.c")), None);
        assert_eq!(signer.open(For::Resume, "a.b."), None);
        assert_eq!(signer.open(For::Resume, "a"), None);
        assert_eq!(Signer::new(&[2; SECRET]).unwrap().open(For::Resume, &signed), None);
    }

    #[test]
    fn a_secret_survives_being_written_down() {
        let made = secret().unwrap();
        assert_eq!(unhex(&hex(&made)), Some(made));
        assert_eq!(unhex("00ff"), None);
        assert_eq!(unhex("é"), None);
    }
}
