//! The hashes of a file's chunks, in pages that can be checked one by one against the manifest. It must never take a hash that the
//! manifest does not bear out.

/// Hashes of one page.
pub const PAGE: u32 = 1024;

/// The hash of a sealed chunk.
pub fn chunk_hash(sealed: &[u8]) -> [u8; 32] {
    *blake3::hash(sealed).as_bytes()
}

/// The hash of a page: BLAKE3 of its hashes, one after the other.
pub fn page_hash(hashes: &[[u8; 32]]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hashes.iter().for_each(|hash| {
        hasher.update(hash);
    });
    *hasher.finalize().as_bytes()
}

/// The root: BLAKE3 of the page hashes, one after the other.
pub fn root(pages: &[[u8; 32]]) -> [u8; 32] {
    page_hash(pages)
}

/// The page hashes of a whole list.
pub fn pages_of(hashes: &[[u8; 32]]) -> Vec<[u8; 32]> {
    hashes.chunks(PAGE as usize).map(page_hash).collect()
}

/// The hashes of one file, as far as they are known.
#[derive(Debug, Clone)]
pub struct Hashes {
    chunks: u32,
    expected: Vec<[u8; 32]>,
    pages: Vec<Option<Vec<[u8; 32]>>>,
}

impl Hashes {
    /// Of a manifest with so many chunks and these page hashes. Nothing is known.
    pub fn new(chunks: u32, expected: Vec<[u8; 32]>) -> Self {
        let pages = vec![None; chunks.div_ceil(PAGE) as usize];
        Self { chunks, expected, pages }
    }

    /// Takes a page if it is what the manifest names. True where it is (also where it was known).
    pub fn insert(&mut self, page: u32, hashes: Vec<[u8; 32]>) -> bool {
        let at = page as usize;
        if hashes.len() != self.page_len(page) || self.expected.get(at) != Some(&page_hash(&hashes)) {
            return false;
        }
        if let Some(place) = self.pages.get_mut(at) {
            place.get_or_insert(hashes);
        }
        true
    }

    /// The hashes of a page that is known.
    pub fn page(&self, page: u32) -> Option<&[[u8; 32]]> {
        self.pages.get(page as usize)?.as_deref()
    }

    /// The hash that a chunk must have, if it is known.
    pub fn of(&self, index: u32) -> Option<&[u8; 32]> {
        self.page(index / PAGE)?.get((index % PAGE) as usize)
    }

    /// How many hashes a page has.
    pub fn page_len(&self, page: u32) -> usize {
        self.chunks.saturating_sub(page.saturating_mul(PAGE)).min(PAGE) as usize
    }

    /// Number of pages.
    pub fn page_count(&self) -> u32 {
        self.chunks.div_ceil(PAGE)
    }

    /// All pages are known.
    pub fn complete(&self) -> bool {
        self.pages.iter().all(Option::is_some)
    }
}
