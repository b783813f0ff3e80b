//! Which chunks of a file somebody holds, as a set of bits and as the ranges that travel. It must never grow past the number of chunks.

/// `start` and how many from there.
pub type Range = (u32, u32);

/// A set of chunk numbers below a fixed bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Have {
    words: Vec<u64>,
    len: u32,
    count: u32,
}

impl Have {
    /// Nothing of `len` chunks.
    pub fn none(len: u32) -> Self {
        Self { words: vec![0; (len as usize).div_ceil(64)], len, count: 0 }
    }

    /// All of `len` chunks.
    pub fn all(len: u32) -> Self {
        let mut have = Self::none(len);
        have.insert_range((0, len));
        have
    }

    /// Number of chunks there are.
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Number of chunks held.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// None is held.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Every chunk is held.
    pub fn is_all(&self) -> bool {
        self.count == self.len
    }

    /// Whether a chunk is held; one out of bounds never is.
    pub fn has(&self, index: u32) -> bool {
        index < self.len && self.word(index as usize / 64) >> (index % 64) & 1 == 1
    }

    /// Adds one. True where it is new.
    pub fn insert(&mut self, index: u32) -> bool {
        if index >= self.len || self.has(index) {
            return false;
        }
        if let Some(word) = self.words.get_mut(index as usize / 64) {
            *word |= 1 << (index % 64);
            self.count += 1;
        }
        true
    }

    /// Takes one out. True where it was in.
    pub fn remove(&mut self, index: u32) -> bool {
        if !self.has(index) {
            return false;
        }
        if let Some(word) = self.words.get_mut(index as usize / 64) {
            *word &= !(1 << (index % 64));
            self.count -= 1;
        }
        true
    }

    /// Adds what of a range is in bounds.
    pub fn insert_range(&mut self, (start, len): Range) {
        for index in start..start.saturating_add(len).min(self.len) {
            self.insert(index);
        }
    }

    /// 64 chunks at once; zero beyond the end.
    pub fn word(&self, at: usize) -> u64 {
        self.words.get(at).copied().unwrap_or(0)
    }

    /// Number of words.
    pub fn words(&self) -> usize {
        self.words.len()
    }

    /// Every chunk held, in order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.words.iter().enumerate().flat_map(|(at, word)| bits(*word).map(move |bit| at as u32 * 64 + bit))
    }

    /// What is held, as ranges in order.
    pub fn ranges(&self) -> Vec<Range> {
        ranges(self.iter())
    }

    /// Eight chunks a byte, the lowest bit first.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = self.words.iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.truncate((self.len as usize).div_ceil(8));
        bytes
    }

    /// Reads [`Have::to_bytes`]: `None` where the length is not that of `len` chunks, or a bit beyond the end is set.
    pub fn from_bytes(bytes: &[u8], len: u32) -> Option<Self> {
        if bytes.len() != (len as usize).div_ceil(8) {
            return None;
        }
        let mut have = Self::none(len);
        for (at, word) in have.words.iter_mut().enumerate() {
            for (shift, byte) in bytes.iter().skip(at * 8).take(8).enumerate() {
                *word |= u64::from(*byte) << (shift * 8);
            }
            have.count += word.count_ones();
        }
        let used = len % 64;
        let beyond = if used == 0 { 0 } else { have.words.last().copied().unwrap_or(0) >> used };
        (beyond == 0).then_some(have)
    }
}

/// The set bits of a word, from the lowest.
pub(crate) fn bits(mut word: u64) -> impl Iterator<Item = u32> {
    core::iter::from_fn(move || {
        let bit = word.trailing_zeros();
        (bit < 64).then(|| {
            word &= word - 1;
            bit
        })
    })
}

/// Sorted chunk numbers as ranges.
pub fn ranges(sorted: impl IntoIterator<Item = u32>) -> Vec<Range> {
    let mut ranges: Vec<Range> = Vec::new();
    for index in sorted {
        match ranges.last_mut() {
            Some((start, len)) if *start + *len == index => *len += 1,
            _ => ranges.push((index, 1)),
        }
    }
    ranges
}
