//! Answers that are not the remote's: of a firewall, a proxy, a login page, a captive portal.

use crate::model::error::{Code, Error};

/// How many characters of a foreign answer are quoted.
const QUOTED: usize = 200;

/// Returns the error of an answer that is not the remote's. It is [`Code::Network`], with a status.
pub(crate) fn foreign(status: u16, target: &str, body: &[u8]) -> Error {
    let words = words(body);
    Error::new(
        Code::Network,
        format!(
            "Something else than the remote answered {target} (HTTP {status}): \"{words}\". A firewall, a proxy, a login page or a network with a sign-in of its own answers so, or nothing at that url speaks the protocol, whose errors are JSON with a `code`."
        ),
    )
    .with_status(status)
    .caused_by(words)
}

/// Returns the first words of an answer, without the tags of a web page.
pub(super) fn words(body: &[u8]) -> String {
    // A page may be long, and the cut may fall within a character.
    let head = body
        .get(..body.len().min(QUOTED.saturating_mul(16)))
        .unwrap_or_default();
    let (mut words, mut in_tag, mut space) = (String::new(), false, false);
    let text = String::from_utf8_lossy(head);
    for letter in text.chars() {
        let shown = !in_tag && letter != '<' && letter > ' ';
        in_tag = letter == '<' || (in_tag && letter != '>');
        space |= !shown;
        if shown {
            if space && !words.is_empty() {
                words.push(' ');
            }
            space = false;
            words.push(letter);
        }
        if words.len() >= QUOTED {
            break;
        }
    }
    if words.is_empty() {
        // Nothing but tags.
        words.extend(text.trim().chars().take(QUOTED));
    }
    words
}
