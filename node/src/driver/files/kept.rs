//! What this device keeps about a file across runs: one note a file, among those of its room.

use std::path::PathBuf;

use conclave_protocol::id::FileId;
use minicbor::{Decode, Encode};

use crate::files::{EngineKept, Form};

/// Where a file stands here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeptState {
    /// Shared from here, as it lies.
    Shared,
    Fetching,
    Paused,
    Complete,
    Sealed,
    Stopped,
}

impl KeptState {
    pub(super) fn number(self) -> u8 {
        match self {
            Self::Shared => 1,
            Self::Fetching => 2,
            Self::Paused => 3,
            Self::Complete => 4,
            Self::Sealed => 5,
            Self::Stopped => 6,
        }
    }

    pub(super) fn of(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Shared,
            2 => Self::Fetching,
            3 => Self::Paused,
            4 => Self::Complete,
            5 => Self::Sealed,
            6 => Self::Stopped,
            _ => return None,
        })
    }
}

/// What is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) state: KeptState,
    /// Where it is, once it is whole.
    pub(super) path: String,
    /// The folder into which it goes.
    pub(super) target: String,
    /// Its sealed chunks are kept, not the file.
    pub(super) sealed: bool,
    /// Code and message, where it is stopped.
    pub(super) error: Option<(String, String)>,
    /// The state before it was stopped.
    pub(super) before: Option<u8>,
}

#[derive(Encode, Decode)]
#[cbor(map)]
struct Raw {
    #[n(0)]
    state: u8,
    #[n(1)]
    path: String,
    #[n(2)]
    target: String,
    #[n(3)]
    sealed: bool,
    #[n(4)]
    code: Option<String>,
    #[n(5)]
    message: Option<String>,
    #[n(6)]
    before: Option<u8>,
}

/// The name of the note.
pub(super) fn note(file: FileId) -> String {
    file.to_string()
}

impl Kept {
    pub(super) fn shared(path: String) -> Self {
        Self { state: KeptState::Shared, path, target: String::new(), sealed: false, error: None, before: None }
    }

    /// Shared from here, as sealed chunks that the node keeps.
    pub(super) fn sealed() -> Self {
        Self { state: KeptState::Sealed, sealed: true, ..Self::shared(String::new()) }
    }

    pub(super) fn fetch(target: String, sealed: bool) -> Self {
        Self { state: KeptState::Fetching, path: String::new(), target, sealed, error: None, before: None }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let (code, message) = self.error.clone().unzip();
        let raw = Raw {
            state: self.state.number(),
            path: self.path.clone(),
            target: self.target.clone(),
            sealed: self.sealed,
            code,
            message,
            before: self.before,
        };
        conclave_protocol::wire::encode(&raw)
    }

    /// `None` where it cannot be read: the file is offered again.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let raw: Raw = conclave_protocol::wire::decode(bytes).ok()?;
        let state = KeptState::of(raw.state)?;
        let error = raw.code.zip(raw.message);
        Some(Self { state, path: raw.path, target: raw.target, sealed: raw.sealed, error, before: raw.before })
    }

    /// How the engine takes part, if it is to.
    pub(super) fn engine(&self) -> Option<EngineKept> {
        Some(match self.state {
            KeptState::Shared => EngineKept::Whole { path: PathBuf::from(&self.path), planned: false },
            KeptState::Complete => EngineKept::Whole { path: PathBuf::from(&self.path), planned: true },
            KeptState::Sealed => EngineKept::Sealed,
            KeptState::Fetching => {
                let form = if self.sealed { Form::Sealed } else { Form::Plain };
                EngineKept::Fetch { target: PathBuf::from(&self.target), form }
            }
            KeptState::Paused | KeptState::Stopped => return None,
        })
    }

    /// The engine takes part in it.
    pub(super) fn runs(&self) -> bool {
        !matches!(self.state, KeptState::Paused | KeptState::Stopped)
    }

    /// All of it is here.
    pub(super) fn is_whole(&self) -> bool {
        matches!(self.state, KeptState::Shared | KeptState::Complete | KeptState::Sealed)
    }
}
