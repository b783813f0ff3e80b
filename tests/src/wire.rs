//! A cable that takes its time: everything between two Ethernet interfaces is held for a while, some of it longer, some of it for ever.
//! The kernel's own means for that (netem) is not there on every machine. It looks into nothing that it carries.

// A TAP device gets its name by an ioctl; the structure that crosses it is held to its size below.
#![allow(unsafe_code)]

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::ioctl::{self, Opcode, Setter};

/// Set the interface of a TUN/TAP file (`linux/if_tun.h`).
const TUNSETIFF: Opcode = 0x4004_54ca;
const IFF_TAP: u16 = 0x0002;
/// Without four bytes before each frame.
const IFF_NO_PI: u16 = 0x1000;
/// Frames on their way in one direction. When it is full the newest is lost, as in a router.
const FRAMES: usize = 4_096;
/// Longer than any frame.
const MAX_FRAME: usize = 65_536;

/// What the cable does to what it carries, each way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nature {
    /// Everything is held for so long,
    pub delay: Duration,
    /// and up to so much longer. The order stays: that is how a queue on the way does it.
    pub jitter: Duration,
}

/// `struct ifreq`, as far as it is used here.
#[repr(C)]
struct InterfaceRequest {
    name: [u8; 16],
    flags: u16,
    rest: [u8; 22],
}

const _: () = assert!(size_of::<InterfaceRequest>() == 40);

/// Opens a TAP interface of this network namespace, which `ip tuntap add` has made.
fn open(name: &str) -> Result<File> {
    let file = OpenOptions::new().read(true).write(true).open("/dev/net/tun").context("/dev/net/tun")?;
    let mut request = InterfaceRequest { name: [0; 16], flags: IFF_TAP | IFF_NO_PI, rest: [0; 22] };
    anyhow::ensure!(name.len() < request.name.len(), "an interface has a short name");
    for (to, from) in request.name.iter_mut().zip(name.bytes()) {
        *to = from;
    }
    // SAFETY: TUNSETIFF reads an ifreq, which this is in size and layout, and keeps no pointer to it.
    unsafe { ioctl::ioctl(file.as_fd(), Setter::<TUNSETIFF, InterfaceRequest>::new(request)) }
        .with_context(|| format!("taking {name}"))?;
    Ok(file)
}

/// Joins two interfaces until the process is killed.
pub fn run(one: &str, other: &str, nature: Nature) -> Result<()> {
    let (one, other) = (Arc::new(open(one)?), Arc::new(open(other)?));
    let back = carry(Arc::clone(&other), Arc::clone(&one), nature, 1);
    let there = carry(one, other, nature, 2);
    println!("ready");
    for thread in back.into_iter().chain(there) {
        thread.join().map_err(|_| anyhow::anyhow!("the cable broke"))??;
    }
    Ok(())
}

type OnTheWay = Arc<(Mutex<VecDeque<(Instant, Vec<u8>)>>, Condvar)>;

fn carry(from: Arc<File>, to: Arc<File>, nature: Nature, seed: u64) -> [std::thread::JoinHandle<Result<()>>; 2] {
    let way: OnTheWay = Arc::default();
    let filled = Arc::clone(&way);
    let reader = std::thread::spawn(move || {
        let mut frame = vec![0; MAX_FRAME];
        let mut random = seed;
        let mut last = Instant::now();
        loop {
            let length = (&*from).read(&mut frame)?;
            // The same on every run.
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let part = (random >> 40) as f64 / (1u64 << 24) as f64;
            last = last.max(Instant::now() + nature.delay + nature.jitter.mul_f64(part));
            let mut waiting = filled.0.lock().unwrap_or_else(PoisonError::into_inner);
            if waiting.len() < FRAMES {
                waiting.push_back((last, frame.get(..length).unwrap_or_default().to_vec()));
                filled.1.notify_one();
            }
        }
    });
    let writer = std::thread::spawn(move || {
        loop {
            let (due, frame) = {
                let mut waiting = way.0.lock().unwrap_or_else(PoisonError::into_inner);
                loop {
                    match waiting.pop_front() {
                        Some(first) => break first,
                        None => waiting = way.1.wait(waiting).unwrap_or_else(PoisonError::into_inner),
                    }
                }
            };
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            // An interface that is down takes nothing: that is a loss like any other.
            let _ = (&*to).write(&frame);
        }
    });
    [reader, writer]
}
