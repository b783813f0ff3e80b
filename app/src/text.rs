//! Every word that the app shows, by key, from the Fluent files beside this module. No other module holds text for a person.

use fluent_bundle::{FluentArgs, FluentBundle, FluentResource, FluentValue};
use serde::{Deserialize, Serialize};
use unic_langid::LanguageIdentifier;

/// A language the app speaks. English is complete by definition, and stands in where another lacks a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Language {
    #[serde(rename = "en")]
    English,
    #[serde(rename = "de")]
    German,
}

impl Language {
    pub const ALL: [Self; 2] = [Self::English, Self::German];

    /// BCP 47.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
        }
    }

    /// The language's name in itself.
    pub const fn own_name(self) -> &'static str {
        match self {
            Self::English => "English",
            Self::German => "Deutsch",
        }
    }

    /// Its Fluent source.
    pub const fn source(self) -> &'static str {
        match self {
            Self::English => include_str!("text/en.ftl"),
            Self::German => include_str!("text/de.ftl"),
        }
    }

    /// The best match for a locale such as `de_CH.UTF-8`; English where nothing fits.
    pub fn from_locale(locale: &str) -> Self {
        let head = locale.split(['-', '_', '.']).next().unwrap_or_default().to_ascii_lowercase();
        Self::ALL.into_iter().find(|language| language.tag() == head).unwrap_or(Self::English)
    }

    /// The system's.
    pub fn system() -> Self {
        sys_locale::get_locale().map_or(Self::English, |locale| Self::from_locale(&locale))
    }
}

/// The texts of one language.
pub struct Text {
    language: Language,
    bundle: FluentBundle<FluentResource>,
    english: FluentBundle<FluentResource>,
}

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Text({})", self.language.tag())
    }
}

fn bundle(language: Language) -> FluentBundle<FluentResource> {
    let locale: LanguageIdentifier = language.tag().parse().unwrap_or_default();
    let mut bundle = FluentBundle::new(vec![locale]);
    // The marks would be drawn as boxes; names are cleaned of direction overrides before they come here.
    bundle.set_use_isolating(false);
    let resource = match FluentResource::try_new(language.source().to_owned()) {
        Ok(resource) => resource,
        // A test holds the files to be without errors; what can be read of a broken one is still better than nothing.
        Err((resource, _)) => resource,
    };
    let _ = bundle.add_resource(resource);
    bundle
}

impl Text {
    pub fn new(language: Language) -> Self {
        Self { language, bundle: bundle(language), english: bundle(Language::English) }
    }

    pub fn language(&self) -> Language {
        self.language
    }

    /// The text of a key; the key itself where no language has it.
    pub fn t(&self, key: &str) -> String {
        self.format(key, None).unwrap_or_else(|| key.to_owned())
    }

    /// The text of a key with its values filled in.
    pub fn f<'a>(&self, key: &str, values: &[(&'a str, FluentValue<'a>)]) -> String {
        let mut args = FluentArgs::with_capacity(values.len());
        for (name, value) in values {
            args.set(*name, value.clone());
        }
        self.format(key, Some(&args)).unwrap_or_else(|| key.to_owned())
    }

    /// As [`Self::t`], or nothing where no language has the key.
    pub fn find(&self, key: &str) -> Option<String> {
        self.format(key, None)
    }

    fn format(&self, key: &str, args: Option<&FluentArgs<'_>>) -> Option<String> {
        [&self.bundle, &self.english].into_iter().find_map(|bundle| {
            let pattern = bundle.get_message(key)?.value()?;
            let mut errors = Vec::new();
            Some(bundle.format_pattern(pattern, args, &mut errors).into_owned())
        })
    }
}

/// A name or a message as it may be drawn: without the characters that reorder what stands around them.
pub fn displayable(text: &str) -> String {
    text.chars().filter(|c| !is_direction_control(*c)).collect()
}

fn is_direction_control(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// One or two letters for an avatar.
pub fn initials(name: &str) -> String {
    let mut words = name.split_whitespace().filter_map(|word| word.chars().find(|c| c.is_alphanumeric()));
    let first = words.next();
    let last = words.last();
    first.into_iter().chain(last).flat_map(char::to_uppercase).collect()
}
