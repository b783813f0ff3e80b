//! A piece of memory that the X server draws into and we read (MIT-SHM 1.2, by file descriptor). It is private to the two.

// Shared memory is mmap, which cannot be expressed safely.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::os::fd::OwnedFd;

use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// Memory in an anonymous file, mapped to read.
pub(super) struct SharedMemory {
    start: *mut c_void,
    length: usize,
}

// SAFETY: the mapping belongs to this value alone, and reading it does not depend on the thread.
unsafe impl Send for SharedMemory {}

impl SharedMemory {
    /// Zeroed memory, and the file to hand to the server.
    pub(super) fn new(length: usize) -> Result<(Self, OwnedFd), Errno> {
        let file = memfd_create("conclave-screen", MemfdFlags::CLOEXEC)?;
        ftruncate(&file, length as u64)?;
        // SAFETY: the kernel chooses an address that is free, and the file is as long as the mapping.
        let start = unsafe { mmap(std::ptr::null_mut(), length, ProtFlags::READ, MapFlags::SHARED, &file, 0)? };
        Ok((Self { start, length }, file))
    }

    /// What the server has drawn. To be looked at only between its answer and the next request.
    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: the mapping is readable for its length and lives as long as `self`; the server writes only while it answers a
        // request of ours, and whoever calls waits for that answer first.
        unsafe { std::slice::from_raw_parts(self.start.cast::<u8>(), self.length) }
    }
}

impl Drop for SharedMemory {
    fn drop(&mut self) {
        // SAFETY: it was mapped with this length, and no slice of it outlives `self`.
        let _ = unsafe { munmap(self.start, self.length) };
    }
}
