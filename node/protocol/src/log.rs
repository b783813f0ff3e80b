//! What lasts: who belongs to a room (the ACL log) and what was written in it (the op log). Merging is set union; what a set of
//! operations means never depends on the order in which they came.

pub mod acl;
pub(crate) mod authority;
pub(crate) mod bits;
pub(crate) mod dag;
pub mod op;
pub(crate) mod oplog;
pub(crate) mod pending;
pub mod state;
pub mod sync;

/// Most operations in a room's ACL log.
pub const MAX_ACL_OPS: usize = 10_000;
/// Most operations of one member who is not an admin (renames, mostly), unless another author's operation builds on more.
pub const MAX_ACL_OPS_OF_A_MEMBER: usize = 256;
/// Most operations of one author who is or was an admin, other than the founder, on the same terms.
pub const MAX_ACL_OPS_OF_AN_ADMIN: usize = 1_500;
/// Most operations without effect of one author who was removed or left, on the same terms.
pub const MAX_VOID_ACL_OPS_OF_A_FORMER: usize = 64;
/// Hashes in one announcement of what is known: the heads, and a thinning sample of what is below them.
pub const MAX_ANNOUNCED: usize = 128;
/// Most operations of one author in any 60 seconds of the author's own clock; what is beyond is void.
pub const MAX_OPS_PER_MINUTE: usize = 240;
/// Most bytes of one author in a room; what is beyond is void.
pub const MAX_BYTES_PER_AUTHOR: u64 = 64 * 1024 * 1024;
/// Most starts of one device that wrote to a room.
pub const MAX_INCARNATIONS: usize = 16_384;

/// How many operations of a batch were not taken, and why. None of them is an error of this device.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Refused {
    /// Cannot be read, breaks a limit, or contradicts what it builds on.
    pub malformed: u32,
    /// Not signed by its author for this room.
    pub bad_signature: u32,
    /// By someone who was never given the right to write it.
    pub not_permitted: u32,
    /// Over a quota or a cap of the room.
    pub over_quota: u32,
    /// By an author who signed two operations with one id.
    pub frozen: u32,
    /// What it builds on is missing, and the buffer of those that wait is full.
    pub buffer_full: u32,
    /// Known already.
    pub duplicates: u32,
    /// Waits for what it builds on.
    pub waiting: u32,
}

impl Refused {
    /// Operations that only a faulty or hostile peer sends.
    pub fn hostile(&self) -> u32 {
        self.malformed + self.bad_signature + self.not_permitted
    }

    /// Adds the counts of another batch.
    pub fn add(&mut self, other: &Self) {
        self.malformed += other.malformed;
        self.bad_signature += other.bad_signature;
        self.not_permitted += other.not_permitted;
        self.over_quota += other.over_quota;
        self.frozen += other.frozen;
        self.buffer_full += other.buffer_full;
        self.duplicates += other.duplicates;
        self.waiting += other.waiting;
    }

    pub(crate) fn count(&mut self, rejection: Rejection) {
        match rejection {
            Rejection::Malformed => self.malformed += 1,
            Rejection::BadSignature => self.bad_signature += 1,
            Rejection::NotPermitted => self.not_permitted += 1,
            Rejection::OverQuota => self.over_quota += 1,
            Rejection::Frozen => self.frozen += 1,
            Rejection::BufferFull => self.buffer_full += 1,
        }
    }
}

/// Why one operation was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rejection {
    Malformed,
    BadSignature,
    NotPermitted,
    OverQuota,
    Frozen,
    BufferFull,
}
