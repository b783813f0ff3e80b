//! Memory that goes back to the system.

// One call of the C library, wrapped once: native/memory.c.
#![allow(unsafe_code)]

/// Media, network and disk each have threads of their own, and glibc gives nearly every thread a heap, each with holes of its own.
const ARENAS: i32 = 2;
/// Pictures come and go, and codecs with them: what is larger than this gets a mapping of its own and goes back when it is freed. Chunks
/// of files, which come and go far more often, stay below.
const OWN_MAPPING: i32 = (1 << 20) + (64 << 10);

/// Call it first of all in a program that sends or shows pictures. It took 208 MiB of resident memory to 171 for a peer that shares a
/// screen (docs/BENCHMARKS.md). Does nothing where the C library is not glibc.
pub fn keep_small() {
    // SAFETY: takes two numbers and keeps neither; mallopt is safe at any time.
    unsafe { conclave_memory_tune(ARENAS, OWN_MAPPING) }
}

unsafe extern "C" {
    fn conclave_memory_tune(arenas: i32, own_mapping_bytes: i32);
}
