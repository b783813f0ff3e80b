//! The code as people say, hear and type it. It never shows its words in `Debug`.

use core::fmt;
use core::str::FromStr;

use bip39::Language;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

/// Words of a code, of a list of 2,048: 33 bits.
pub const CODE_WORDS: usize = 3;
/// Numbers go from 1 to this. They only keep several codes in one place apart.
pub const MAX_NUMBER: u32 = 999;
/// Longest text that is read as a code, in bytes.
const MAX_TEXT: usize = 200;
/// In this list no two words share their first four letters (BIP-39), so that these are enough.
const ENOUGH_LETTERS: usize = 4;

/// Why a text is not a code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodeError {
    /// Not a number and three words.
    #[error("a code is a number and three words")]
    Shape,
    /// Not between 1 and [`MAX_NUMBER`].
    #[error("the number of a code is 1 to {MAX_NUMBER}")]
    Number,
    /// Not in the list.
    #[error("no code has the word “{0}”")]
    Word(String),
}

/// A number and three words.
#[derive(Clone, PartialEq, Eq)]
pub struct SpokenCode {
    number: u32,
    words: Zeroizing<String>,
}

impl SpokenCode {
    /// Words by chance for a number.
    pub fn generate(number: u32, rng: &mut impl CryptoRng) -> Self {
        let list = Language::English.word_list();
        // 2,048 divides 2^32: every word is as likely as the others.
        let drawn = (0..CODE_WORDS).filter_map(|_| list.get(rng.next_u32() as usize % list.len()).copied());
        Self { number, words: Zeroizing::new(drawn.collect::<Vec<_>>().join(" ")) }
    }

    /// Whether a text is meant as a code rather than as a link: it begins with a digit.
    pub fn looks_like(text: &str) -> bool {
        text.trim_start().starts_with(|first: char| first.is_ascii_digit())
    }

    /// Which code it is. No secret.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// The number, a blank, and the words with blanks between: what is shown, and what CPace takes as the password.
    pub fn text(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{} {}", self.number, self.words.as_str()))
    }
}

impl FromStr for SpokenCode {
    type Err = CodeError;

    /// In any case, with blanks, hyphens or commas between, words cut after four letters or more.
    fn from_str(text: &str) -> Result<Self, CodeError> {
        if text.len() > MAX_TEXT {
            return Err(CodeError::Shape);
        }
        let separates = |c: char| c.is_whitespace() || matches!(c, '-' | ',' | '.' | ';' | '–' | '—' | '_');
        let mut parts = text.split(separates).filter(|part| !part.is_empty());
        let number = parts.next().filter(|part| part.bytes().all(|byte| byte.is_ascii_digit())).ok_or(CodeError::Shape)?;
        let number = number.parse().ok().filter(|number| (1..=MAX_NUMBER).contains(number)).ok_or(CodeError::Number)?;
        let typed: Vec<&str> = parts.collect();
        if typed.len() != CODE_WORDS {
            return Err(CodeError::Shape);
        }
        let words = typed.into_iter().map(whole_word).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { number, words: Zeroizing::new(words.join(" ")) })
    }
}

impl fmt::Debug for SpokenCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpokenCode").field("number", &self.number).finish_non_exhaustive()
    }
}

fn whole_word(typed: &str) -> Result<&'static str, CodeError> {
    let lower = Zeroizing::new(typed.to_lowercase());
    let list = Language::English.word_list();
    if let Ok(at) = list.binary_search(&lower.as_str()) {
        return list.get(at).copied().ok_or(CodeError::Shape);
    }
    let mut fitting = list.iter().filter(|word| lower.len() >= ENOUGH_LETTERS && word.starts_with(lower.as_str()));
    match (fitting.next(), fitting.next()) {
        (Some(word), None) => Ok(*word),
        _ => Err(CodeError::Word(typed.chars().take(20).collect())),
    }
}
