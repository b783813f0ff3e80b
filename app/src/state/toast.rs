//! Short notices that go by themselves. At most [`MAX`] stand at a time; the oldest gives way.

use crate::intent::Intent;

/// Notices on screen at a time.
pub const MAX: usize = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Info,
    Good,
    Bad,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Toast {
    pub id: u64,
    pub tone: Tone,
    pub text: String,
    pub detail: Option<String>,
    /// A button: its label and what it wants.
    pub action: Option<(String, Intent)>,
    pub until_ms: u64,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Toasts {
    shown: Vec<Toast>,
    next_id: u64,
}

impl Toasts {
    pub fn shown(&self) -> &[Toast] {
        &self.shown
    }

    /// Shows a notice; one that says the same already only lives on.
    pub fn push(&mut self, tone: Tone, text: String, detail: Option<String>, action: Option<(String, Intent)>, now_ms: u64) {
        let life_ms = match (tone, &action) {
            (Tone::Bad, _) | (_, Some(_)) => 10_000,
            _ => 5_000,
        };
        let until_ms = now_ms + life_ms;
        if let Some(same) = self.shown.iter_mut().find(|toast| toast.text == text && toast.detail == detail) {
            same.until_ms = until_ms;
            return;
        }
        self.next_id += 1;
        self.shown.push(Toast { id: self.next_id, tone, text, detail, action, until_ms });
        if self.shown.len() > MAX {
            self.shown.remove(0);
        }
    }

    pub fn dismiss(&mut self, id: u64) {
        self.shown.retain(|toast| toast.id != id);
    }

    pub fn expire(&mut self, now_ms: u64) {
        self.shown.retain(|toast| toast.until_ms > now_ms);
    }

    pub fn next_expiry_ms(&self) -> Option<u64> {
        self.shown.iter().map(|toast| toast.until_ms).min()
    }
}
