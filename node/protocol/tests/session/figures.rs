//! Figures of the session: `cargo test --release -p conclave-protocol --test session -- --ignored --nocapture figures`.

use std::time::Instant;

use conclave_protocol::identity::DeviceKey;
use conclave_protocol::session::message::SessionFrame;
use openmls::prelude::*;

use crate::raw::{Raw, TestProvider, TestSigner, key_package_of};
use crate::support::{Seeded, ms};
use crate::world::World;

fn key_packages(count: usize, seed: u64) -> Vec<KeyPackage> {
    let mut rng = Seeded(seed);
    (0..count)
        .map(|_| {
            let key = DeviceKey::generate(&mut rng);
            key_package_of(&TestProvider::default(), &TestSigner::of(&key), key.id())
        })
        .collect()
}

#[test]
#[ignore = "prints figures"]
fn figures_of_a_session_with_100_members() {
    let mut world = World::new(1, 1);
    let mut raw = Raw::new(&mut world, 0);
    raw.create(Extensions::empty());
    for part in key_packages(98, 2).chunks(33) {
        raw.commit(&world, part.to_vec(), vec![]);
    }
    let begun = Instant::now();
    let (commit, welcome) = raw.commit(&world, key_packages(1, 3), vec![]);
    let added = begun.elapsed();
    let (statement, mls) = welcome.unwrap();
    let frame = raw.welcome(raw.id, &statement, mls);
    let begun = Instant::now();
    let (removal, _) = raw.commit(&world, vec![], vec![5]);
    let removed = begun.elapsed();
    println!(
        "100 members: Welcome frame {} bytes, commit of an add {} bytes in {:.1} ms, of a removal {} bytes in {:.1} ms",
        frame.encode().len(),
        SessionFrame::Commit(commit).encode().len(),
        added.as_secs_f64() * 1e3,
        SessionFrame::Commit(removal).encode().len(),
        removed.as_secs_f64() * 1e3,
    );
}

#[test]
#[ignore = "prints figures"]
fn figures_of_49_members_that_come_back() {
    let mut world = World::settled(50, 7);
    world.run(ms(12_000));
    world.crash(0);
    let rest: Vec<usize> = (1..50).collect();
    world.run(ms(6_900));
    let (begun, frames) = (Instant::now(), world.frames);
    let took = world.run_until(ms(30_000), |world| world.is_one(&rest)).unwrap();
    println!(
        "49 members rejoin in {took:?} of their time; {:.0} ms of one core for all of them and {} frames, presences included",
        begun.elapsed().as_secs_f64() * 1e3,
        world.frames - frames,
    );
}
