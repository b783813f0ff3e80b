//! A file that is on its way: a sparse `.part` beside its target, written at its places, and a journal of what is surely on disk. After
//! any crash the journal says what is there; what it does not say is fetched again. Nothing is written through a link, and nothing that
//! was there is overwritten.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use conclave_protocol::id::FileId;
use conclave_protocol::swarm::hashes::{Hashes, PAGE, chunk_hash};
use conclave_protocol::swarm::have::Have;
use conclave_protocol::swarm::manifest::{Entry, Layout, MAX_TABLE, Manifest, TAG, decode_table};
use conclave_protocol::swarm::seal::ChunkCipher;
use rustix::fs::{AtFlags, FallocateFlags, Mode, OFlags, RenameFlags};

use super::error::{FileError, bytes_text};
use super::names;
use super::source::{Source, append_sealed, read_at};

/// Bytes of a record of the journal: the number of a chunk, and a check of it.
const RECORD: usize = 8;
/// Bytes that are left free on a disk.
const SPARE: u64 = 16 * 1024 * 1024;
/// How much of the journal's end is read back and hashed after a crash: what one batch holds.
const LAST_BATCH_BYTES: u64 = 64 * 1024 * 1024;
/// Names that are tried before giving up.
const MAX_NUMBER: u32 = 999;

/// Where the node keeps what belongs to a file beside the file itself.
#[derive(Debug, Clone)]
pub(crate) struct Beside {
    dir: PathBuf,
    stem: String,
}

impl Beside {
    /// Named after the whole manifest, so that no two versions meet.
    pub(crate) fn new(files: &Path, manifest: &Manifest) -> Self {
        let hash = blake3::hash(&conclave_protocol::wire::encode(manifest));
        let stem = hash.to_hex().chars().take(32).collect();
        Self { dir: files.to_owned(), stem }
    }

    fn path(&self, ending: &str) -> PathBuf {
        self.dir.join(format!("{}.{ending}", self.stem))
    }

    pub(crate) fn sealed(&self) -> PathBuf {
        self.path("sealed")
    }

    /// The chunk hashes, once all are known.
    pub(crate) fn save_hashes(&self, hashes: &[[u8; 32]]) -> Result<(), FileError> {
        self.save("hashes", &hashes.concat())
    }

    /// What is known of the hashes: each page is checked against the manifest.
    pub(crate) fn load_hashes(&self, manifest: &Manifest) -> Hashes {
        let mut hashes = Hashes::new(manifest.layout().chunks(), manifest.page_hashes());
        let bytes = std::fs::read(self.path("hashes")).unwrap_or_default();
        for page in 0..hashes.page_count() {
            let from = page as usize * PAGE as usize * 32;
            let to = from + hashes.page_len(page) * 32;
            let Some(bytes) = bytes.get(from..to) else { continue };
            hashes.insert(page, bytes.chunks_exact(32).filter_map(|hash| hash.try_into().ok()).collect());
        }
        hashes
    }

    /// One page, at its place.
    pub(crate) fn save_page(&self, page: u32, hashes: &[[u8; 32]]) -> Result<(), FileError> {
        let file = std::fs::OpenOptions::new().write(true).create(true).truncate(false).open(self.path("hashes"));
        let file = file.map_err(|error| FileError::of(&error, true))?;
        file.write_all_at(&hashes.concat(), u64::from(page) * u64::from(PAGE) * 32).map_err(|error| FileError::of(&error, true))
    }

    /// All sealed chunks of a file at once.
    pub(crate) fn save_sealed(&self, sealed: &[u8]) -> Result<(), FileError> {
        self.save("sealed", sealed)
    }

    pub(crate) fn save_table(&self, table: &[u8]) -> Result<(), FileError> {
        self.save("table", table)
    }

    pub(crate) fn load_table(&self, manifest: &Manifest) -> Result<(Vec<u8>, Vec<Entry>), FileError> {
        let bytes = std::fs::read(self.path("table")).map_err(|error| FileError::of(&error, false))?;
        let entries = decode_table(&bytes, manifest).map_err(|_| FileError::Stale)?;
        Ok((bytes, entries))
    }

    fn save(&self, ending: &str, bytes: &[u8]) -> Result<(), FileError> {
        let write = || {
            let new = self.path(&format!("{ending}.new"));
            let mut file = File::create(&new)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            std::fs::rename(&new, self.path(ending))
        };
        write().map_err(|error| FileError::of(&error, true))
    }

    /// Everything of it goes; what is not there is gone already.
    pub(crate) fn remove(&self) {
        for ending in ["hashes", "table", "journal", "sealed", "sealed.part", "hashes.new", "table.new", "sealed.new"] {
            let _ = std::fs::remove_file(self.path(ending));
        }
    }
}

/// What is kept: the file itself, or its chunks as they were sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Plain,
    Sealed,
}

/// A file that is being written.
#[derive(Debug)]
pub(crate) struct Part {
    dir: OwnedFd,
    dir_path: PathBuf,
    part_name: String,
    name: String,
    file: File,
    journal: Mutex<File>,
    beside: Beside,
    file_id: FileId,
    layout: Layout,
    form: Form,
}

/// A file that is complete.
pub(crate) struct Finished {
    pub(crate) path: PathBuf,
    pub(crate) source: Source,
}

impl Part {
    /// Begins, or goes on where the journal says. Blocking. Gives what is there.
    pub(crate) fn open(
        target: &Path,
        beside: &Beside,
        file_id: FileId,
        manifest: &Manifest,
        form: Form,
        hashes: &Hashes,
    ) -> Result<(Self, Have), FileError> {
        let layout = manifest.layout();
        let (dir_path, name, part_name) = match form {
            Form::Plain => {
                let name = names::safe(&manifest.name);
                let short: String = beside.stem.chars().take(8).collect();
                (target.to_owned(), name.clone(), format!(".{name}.{short}.part"))
            }
            Form::Sealed => (beside.dir.clone(), format!("{}.sealed", beside.stem), format!("{}.sealed.part", beside.stem)),
        };
        let dir = rustix::fs::open(&dir_path, OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::RDONLY, Mode::empty())?;
        let mode = Mode::from_raw_mode(0o666);
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut fresh = false;
        let part = match rustix::fs::openat(&dir, part_name.as_str(), flags, mode) {
            Err(rustix::io::Errno::NOENT) => {
                fresh = true;
                rustix::fs::openat(&dir, part_name.as_str(), flags | OFlags::CREATE | OFlags::EXCL, mode)?
            }
            opened => opened?,
        };
        let file = File::from(part);
        let io = |error: std::io::Error| FileError::of(&error, true);
        let meta = file.metadata().map_err(io)?;
        if !meta.is_file() {
            return Err(FileError::LinkInTheWay);
        }
        let stride = if form == Form::Sealed { u64::from(layout.chunk + TAG) } else { 0 };
        let size = match form {
            Form::Plain => manifest.size,
            Form::Sealed => {
                layout.chunks().checked_sub(1).map_or(0, |last| u64::from(last) * stride + u64::from(layout.sealed_len(last)))
            }
        };
        fresh |= meta.len() != size;
        let journal =
            std::fs::OpenOptions::new().read(true).append(true).create(true).open(beside.path("journal")).map_err(io)?;
        let part = Self {
            dir,
            dir_path,
            part_name,
            name,
            file,
            journal: Mutex::new(journal),
            beside: beside.clone(),
            file_id,
            layout,
            form,
        };
        let made = part.begin(fresh, size, manifest, hashes);
        if made.is_err() && fresh {
            // Nothing was fetched yet: nothing is left behind.
            part.remove();
        }
        made.map(|have| (part, have))
    }

    fn begin(&self, fresh: bool, size: u64, manifest: &Manifest, hashes: &Hashes) -> Result<Have, FileError> {
        let io = |error: std::io::Error| FileError::of(&error, true);
        let have = if fresh {
            self.journal.lock().unwrap_or_else(PoisonError::into_inner).set_len(0).map_err(io)?;
            Have::none(self.layout.chunks())
        } else {
            self.read_journal(manifest, hashes)?
        };
        let there = have.iter().map(|index| u64::from(self.layout.len(index))).sum::<u64>();
        // A folder is unpacked beside its stream.
        let copies = if manifest.folder.is_some() && self.form == Form::Plain { 2 } else { 1 };
        let needed = (size * copies).saturating_sub(there) + SPARE;
        let disk = rustix::fs::fstatvfs(&self.dir)?;
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        if free < needed {
            return Err(FileError::DiskFull { needed: bytes_text(needed - free) });
        }
        self.file.set_len(size).map_err(io)?;
        if fresh {
            self.file.sync_all().map_err(io)?;
            rustix::fs::fsync(&self.dir)?;
        }
        Ok(have)
    }

    /// The journal up to the first record that is not whole; what was written last is read back and hashed again.
    fn read_journal(&self, manifest: &Manifest, hashes: &Hashes) -> Result<Have, FileError> {
        let io = |error: std::io::Error| FileError::of(&error, true);
        let mut journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bytes = Vec::new();
        let most = self.layout.chunks() as u64 * RECORD as u64 * 4;
        (&mut *journal).take(most).read_to_end(&mut bytes).map_err(io)?;
        let mut order = Vec::new();
        for record in bytes.chunks(RECORD) {
            let Some(index) = self.read_record(record) else { break };
            order.push(index);
        }
        let mut have = Have::none(self.layout.chunks());
        let mut last = 0;
        let cipher = ChunkCipher::of(manifest);
        let (mut bad, mut again) = (Vec::new(), Vec::new());
        for index in order.iter().rev() {
            if last < LAST_BATCH_BYTES {
                last += u64::from(self.layout.len(*index));
                again.clear();
                let read = self.append_sealed(*index, &cipher, &mut again);
                let whole = read.is_ok() && hashes.of(*index) == Some(&chunk_hash(&again));
                if !whole {
                    bad.push(*index);
                    continue;
                }
            }
            have.insert(*index);
        }
        // What cannot be checked for want of hashes is fetched again as well.
        for index in &bad {
            have.remove(*index);
        }
        if !bad.is_empty() || order.len() * RECORD != bytes.len() {
            journal.set_len(0).map_err(io)?;
            let records: Vec<u8> = have.iter().flat_map(|index| self.record(index)).collect();
            journal.write_all(&records).map_err(io)?;
            journal.sync_data().map_err(io)?;
        }
        Ok(have)
    }

    fn record(&self, index: u32) -> [u8; RECORD] {
        let number = index.to_be_bytes();
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.file_id.as_bytes()).update(&number);
        let mut record = [0; RECORD];
        let check = hasher.finalize();
        record.iter_mut().zip(number.iter().chain(check.as_bytes())).for_each(|(place, byte)| *place = *byte);
        record
    }

    fn read_record(&self, bytes: &[u8]) -> Option<u32> {
        let number = u32::from_be_bytes(*bytes.first_chunk::<4>()?);
        (number < self.layout.chunks() && self.record(number) == *bytes).then_some(number)
    }

    /// Checks a sealed chunk against its hash, opens it where the file itself is kept, and writes it to its place. Blocking. `Ok(false)`:
    /// it is not what the manifest names.
    pub(crate) fn take(&self, index: u32, sealed: &mut [u8], hash: &[u8; 32], cipher: &ChunkCipher) -> Result<bool, FileError> {
        if sealed.len() != self.layout.sealed_len(index) as usize || chunk_hash(sealed) != *hash {
            return Ok(false);
        }
        let len = match self.form {
            Form::Sealed => sealed.len(),
            Form::Plain => match cipher.open_slice(index, sealed) {
                Ok(len) => len,
                Err(_) => return Ok(false),
            },
        };
        let bytes = sealed.get(..len).unwrap_or_default();
        if self.form == Form::Plain && self.leave_hole(index, bytes) {
            return Ok(true);
        }
        self.file.write_all_at(bytes, self.place(index)).map_err(|error| FileError::of(&error, true))?;
        Ok(true)
    }

    /// A chunk of nothing but zeros takes no room: disk images stay as sparse as they were. Also where something torn stood before. False
    /// where it is not all zeros, or the file system knows no holes.
    fn leave_hole(&self, index: u32, bytes: &[u8]) -> bool {
        let zeros = bytes.first() == Some(&0) && bytes.chunks(4096).all(|page| page.iter().fold(0, |any, byte| any | byte) == 0);
        let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        zeros && rustix::fs::fallocate(&self.file, hole, self.place(index), bytes.len() as u64).is_ok()
    }

    /// Writes the whole stream of a small file at once. Blocking.
    pub(crate) fn fill(&self, content: &[u8]) -> Result<(), FileError> {
        self.file.write_all_at(content, 0).map_err(|error| FileError::of(&error, true))
    }

    /// A chunk as it was sealed, to be served. Blocking. To be checked before it is sent.
    pub(crate) fn append_sealed(&self, index: u32, cipher: &ChunkCipher, to: &mut Vec<u8>) -> Result<(), FileError> {
        let read = |bytes: &mut [u8]| read_at(&self.file, bytes, self.place(index)).map_err(|error| FileError::of(&error, true));
        match self.form {
            Form::Plain => append_sealed(cipher, index, to, read),
            Form::Sealed => append(to, self.layout.sealed_len(index), read),
        }
    }

    fn place(&self, index: u32) -> u64 {
        match self.form {
            Form::Plain => self.layout.offset(index),
            Form::Sealed => u64::from(index) * u64::from(self.layout.chunk + TAG),
        }
    }

    /// From here on these chunks are there after any crash. Blocking.
    pub(crate) fn settle(&self, indices: &[u32]) -> Result<(), FileError> {
        let io = |error: std::io::Error| FileError::of(&error, true);
        // The name must still lead to the file that was written: the folder may be gone, or something else may stand there.
        let named = rustix::fs::statat(&self.dir, self.part_name.as_str(), AtFlags::SYMLINK_NOFOLLOW)?;
        let ours = rustix::fs::fstat(&self.file)?;
        if (named.st_dev, named.st_ino) != (ours.st_dev, ours.st_ino) {
            return Err(FileError::LinkInTheWay);
        }
        self.file.sync_data().map_err(io)?;
        let records: Vec<u8> = indices.iter().flat_map(|index| self.record(*index)).collect();
        let mut journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        journal.write_all(&records).map_err(io)?;
        journal.sync_data().map_err(io)
    }

    /// Everything is there: it gets its name, or is unpacked under it. Blocking.
    pub(crate) fn finish(&self, manifest: &Manifest) -> Result<Finished, FileError> {
        let io = |error: std::io::Error| FileError::of(&error, true);
        self.settle(&[])?;
        self.file.sync_all().map_err(io)?;
        let finished = match (&manifest.folder, self.form) {
            (_, Form::Sealed) => {
                rustix::fs::renameat(&self.dir, self.part_name.as_str(), &self.dir, self.name.as_str())?;
                let path = self.dir_path.join(&self.name);
                Finished { source: Source::file(&path, 0), path }
            }
            (None, Form::Plain) => {
                let name = self.rename(&self.part_name)?;
                let path = self.dir_path.join(name);
                Finished { source: Source::file(&path, manifest.size), path }
            }
            (Some(folder), Form::Plain) => {
                let mut table = vec![0; usize::try_from(folder.table_len.min(MAX_TABLE)).unwrap_or(0)];
                read_at(&self.file, &mut table, 0).map_err(io)?;
                let entries =
                    decode_table(&table, manifest).map_err(|_| FileError::Unusable("The table of the folder is damaged."))?;
                let planned = names::plan(&entries);
                let unpacking = format!("{}.folder", self.part_name);
                let path = self.unpack(&unpacking, &entries, &planned, folder.table_len)?;
                self.beside.save_table(&table)?;
                let _ = rustix::fs::unlinkat(&self.dir, self.part_name.as_str(), AtFlags::empty());
                let files =
                    planned.into_iter().zip(&entries).map(|(part, entry)| (path.join(part), entry.size)).collect::<Vec<_>>();
                Finished { source: Source::folder(table, files), path }
            }
        };
        rustix::fs::fsync(&self.dir)?;
        let _ = std::fs::remove_file(self.beside.path("journal"));
        Ok(finished)
    }

    /// Under its own name, or the next that is free: nothing is overwritten.
    fn rename(&self, from: &str) -> Result<String, FileError> {
        for number in 0..=MAX_NUMBER {
            let name = names::numbered(&self.name, number);
            match rustix::fs::renameat_with(&self.dir, from, &self.dir, name.as_str(), RenameFlags::NOREPLACE) {
                Ok(()) => return Ok(name),
                Err(rustix::io::Errno::EXIST) => {}
                // A file system that cannot: look first, then rename.
                Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
                    match rustix::fs::statat(&self.dir, name.as_str(), AtFlags::SYMLINK_NOFOLLOW) {
                        Err(rustix::io::Errno::NOENT) => {
                            rustix::fs::renameat(&self.dir, from, &self.dir, name.as_str())?;
                            return Ok(name);
                        }
                        Ok(_) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(FileError::Unusable("There are too many files of this name already."))
    }

    /// Writes the files of a folder below a folder of their own, which gets its name last.
    fn unpack(&self, unpacking: &str, entries: &[Entry], planned: &[PathBuf], table_len: u64) -> Result<PathBuf, FileError> {
        let io = |error: std::io::Error| FileError::of(&error, true);
        // What a crash left; a link that stands there is removed, not followed.
        match std::fs::remove_dir_all(self.dir_path.join(unpacking)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(FileError::of(&error, true)),
            _ => {}
        }
        let folder_mode = Mode::from_raw_mode(0o777);
        rustix::fs::mkdirat(&self.dir, unpacking, folder_mode)?;
        let into = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
        let root = rustix::fs::openat(&self.dir, unpacking, into, Mode::empty())?;
        let mut at = table_len;
        let mut buffer = vec![0; 1024 * 1024];
        let mut open: Option<(PathBuf, OwnedFd)> = None;
        for (entry, path) in entries.iter().zip(planned) {
            let parent = path.parent().unwrap_or(Path::new("")).to_owned();
            let reuse = open.take().filter(|(path, _)| *path == parent);
            let (parent, dir) = match reuse {
                Some(open) => open,
                None => {
                    let mut dir = root.try_clone().map_err(io)?;
                    for part in &parent {
                        match rustix::fs::mkdirat(&dir, part, folder_mode) {
                            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
                            Err(error) => return Err(error.into()),
                        }
                        dir = rustix::fs::openat(&dir, part, into, Mode::empty())?;
                    }
                    (parent, dir)
                }
            };
            let name = path.file_name().ok_or(FileError::Unusable("A name in the folder is empty."))?;
            let new = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let mut file = File::from(rustix::fs::openat(&dir, name, new, Mode::from_raw_mode(0o666))?);
            let mut left = entry.size;
            while left > 0 {
                let take = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
                let Some(piece) = buffer.get_mut(..take) else { break };
                read_at(&self.file, piece, at).map_err(io)?;
                file.write_all(piece).map_err(io)?;
                at += take as u64;
                left -= take as u64;
            }
            open = Some((parent, dir));
        }
        // One flush for all of them.
        rustix::fs::syncfs(&root)?;
        Ok(self.dir_path.join(self.rename(unpacking)?))
    }

    /// It is wanted no more: nothing of it stays.
    pub(crate) fn remove(&self) {
        let _ = rustix::fs::unlinkat(&self.dir, self.part_name.as_str(), AtFlags::empty());
        self.beside.remove();
    }
}

/// The sealed chunks of a file that stays sealed.
#[derive(Debug)]
pub(crate) struct SealedFile {
    file: File,
    layout: Layout,
}

impl SealedFile {
    pub(crate) fn open(beside: &Beside, layout: Layout) -> Result<Self, FileError> {
        let file = File::open(beside.sealed()).map_err(|error| FileError::of(&error, false))?;
        Ok(Self { file, layout })
    }

    /// A chunk as it was sealed. Blocking. To be checked before it is sent.
    pub(crate) fn append_sealed(&self, index: u32, to: &mut Vec<u8>) -> Result<(), FileError> {
        let place = u64::from(index) * u64::from(self.layout.chunk + TAG);
        append(to, self.layout.sealed_len(index), |bytes| {
            read_at(&self.file, bytes, place).map_err(|error| FileError::of(&error, false))
        })
    }
}

/// Has so many bytes read behind what is in a buffer.
fn append(to: &mut Vec<u8>, len: u32, read: impl FnOnce(&mut [u8]) -> Result<(), FileError>) -> Result<(), FileError> {
    let from = to.len();
    to.resize(from + len as usize, 0);
    read(to.get_mut(from..).unwrap_or_default())
}

#[cfg(test)]
mod tests;
