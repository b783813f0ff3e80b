//! A storage backend that keeps writes apart until the store has proved sound. Until [`Hold::release`] it never changes the file.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use redb::StorageBackend;

const PAGE: u64 = 4096;

/// What redb is given: opening a database writes (a repair, a flag), and a damaged file must stay as it was found.
#[derive(Debug)]
pub(crate) struct Holding<B>(Arc<Shared<B>>);

/// The other end: lets the held writes through.
#[derive(Debug)]
pub(crate) struct Hold<B>(Arc<Shared<B>>);

#[derive(Debug)]
struct Shared<B> {
    inner: B,
    holding: AtomicBool,
    held: Mutex<Held>,
}

#[derive(Debug)]
struct Held {
    /// Pages that differ from the file.
    pages: BTreeMap<u64, Vec<u8>>,
    len: u64,
    /// Up to here the file's own bytes show through.
    visible: u64,
    /// Everything in the order it was asked for, flushes included, so that a power cut during the release meets the same
    /// states as one during the writes themselves.
    steps: Vec<Step>,
}

#[derive(Debug)]
enum Step {
    Write { offset: u64, data: Vec<u8> },
    SetLen(u64),
    Sync,
}

impl<B: StorageBackend> Holding<B> {
    pub(crate) fn new(inner: B) -> io::Result<(Self, Hold<B>)> {
        let len = inner.len()?;
        let held = Mutex::new(Held { pages: BTreeMap::new(), len, visible: len, steps: Vec::new() });
        let shared = Arc::new(Shared { inner, holding: AtomicBool::new(true), held });
        Ok((Self(shared.clone()), Hold(shared)))
    }
}

impl<B: StorageBackend> Hold<B> {
    /// Carries out what was held, in order, and holds nothing from here on.
    pub(crate) fn release(self) -> io::Result<()> {
        let mut held = self.0.held.lock().unwrap_or_else(PoisonError::into_inner);
        for step in held.steps.drain(..) {
            match step {
                Step::Write { offset, data } => self.0.inner.write(offset, &data)?,
                Step::SetLen(len) => self.0.inner.set_len(len)?,
                Step::Sync => self.0.inner.sync_data()?,
            }
        }
        held.pages.clear();
        self.0.holding.store(false, Ordering::Release);
        Ok(())
    }
}

impl<B: StorageBackend> Shared<B> {
    fn with_held<T>(&self, act: impl FnOnce(&mut Held, &B) -> io::Result<T>) -> Option<io::Result<T>> {
        if !self.holding.load(Ordering::Acquire) {
            return None;
        }
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        Some(act(&mut held, &self.inner))
    }
}

impl Held {
    fn page(&self, number: u64, file: &impl StorageBackend) -> io::Result<Vec<u8>> {
        if let Some(page) = self.pages.get(&number) {
            return Ok(page.clone());
        }
        let mut page = vec![0; PAGE as usize];
        let start = number * PAGE;
        let shown = self.visible.saturating_sub(start).min(PAGE) as usize;
        if let Some(part) = page.get_mut(..shown).filter(|part| !part.is_empty()) {
            file.read(start, part)?;
        }
        Ok(page)
    }

    fn read(&self, offset: u64, out: &mut [u8], file: &impl StorageBackend) -> io::Result<()> {
        if offset.checked_add(out.len() as u64).is_none_or(|end| end > self.len) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut at = offset;
        let mut rest = out;
        while !rest.is_empty() {
            let page = self.page(at / PAGE, file)?;
            let from = page.get((at % PAGE) as usize..).unwrap_or_default();
            let count = from.len().min(rest.len());
            let (now, later) = rest.split_at_mut(count);
            now.copy_from_slice(from.get(..count).unwrap_or_default());
            rest = later;
            at += count as u64;
        }
        Ok(())
    }

    fn write(&mut self, offset: u64, data: &[u8], file: &impl StorageBackend) -> io::Result<()> {
        self.steps.push(Step::Write { offset, data: data.to_vec() });
        self.len = self.len.max(offset.saturating_add(data.len() as u64));
        let mut at = offset;
        let mut rest = data;
        while !rest.is_empty() {
            let mut page = self.page(at / PAGE, file)?;
            let to = page.get_mut((at % PAGE) as usize..).unwrap_or_default();
            let count = to.len().min(rest.len());
            let (now, later) = rest.split_at(count);
            if let Some(to) = to.get_mut(..count) {
                to.copy_from_slice(now);
            }
            self.pages.insert(at / PAGE, page);
            rest = later;
            at += count as u64;
        }
        Ok(())
    }

    fn set_len(&mut self, len: u64) {
        self.steps.push(Step::SetLen(len));
        if len < self.len {
            self.visible = self.visible.min(len);
            self.pages.retain(|number, _| number * PAGE < len);
            if let Some(page) = self.pages.get_mut(&(len / PAGE)) {
                page.iter_mut().skip((len % PAGE) as usize).for_each(|byte| *byte = 0);
            }
        }
        self.len = len;
    }
}

impl<B: StorageBackend> StorageBackend for Holding<B> {
    fn len(&self) -> io::Result<u64> {
        self.0.with_held(|held, _| Ok(held.len)).unwrap_or_else(|| self.0.inner.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        match self.0.with_held(|held, file| held.read(offset, out, file)) {
            Some(result) => result,
            None => self.0.inner.read(offset, out),
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let held = self.0.with_held(|held, _| {
            held.set_len(len);
            Ok(())
        });
        held.unwrap_or_else(|| self.0.inner.set_len(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        let held = self.0.with_held(|held, _| {
            held.steps.push(Step::Sync);
            Ok(())
        });
        held.unwrap_or_else(|| self.0.inner.sync_data())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.with_held(|held, file| held.write(offset, data, file)).unwrap_or_else(|| self.0.inner.write(offset, data))
    }

    fn close(&self) -> io::Result<()> {
        self.0.inner.close()
    }
}
