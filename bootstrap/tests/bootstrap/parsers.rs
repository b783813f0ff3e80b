//! Every target of the fuzzer against its corpus, every truncation of it, flipped bits and random bytes: an error or a value, never a
//! panic.

use std::path::PathBuf;

use conclave_bootstrap::fuzz::{NOW_S, TARGETS, team};
use serde_json::json;

fn corpus(target: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz").join("corpus").join(target)
}

/// SplitMix64, so that a failure can be had again.
struct Seeded(u64);

impl Seeded {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// Well-formed inputs.
fn samples() -> Vec<(&'static str, Vec<u8>)> {
    let (keys, _) = team();
    let key = keys.root;
    let claims = json!({
        "iss": keys.iss, "sub": "Ada", "aud": format!("conclave:{key}"), "team": keys.team, "apk": "AAAA",
        "cnf": { "jwk": { "kty": "OKP", "crv": "Ed25519", "x": key } },
        "iat": NOW_S, "nbf": NOW_S, "exp": NOW_S + 86_400, "jti": "AAAA", "head": { "seq": 0, "hash": key },
    });
    let config = "[team]\nname = \"Field office\"\nurl = \"https://meet.example.org:7480\"\n[http]\nlisten = \"0.0.0.0:7480\"\n\
                  trusted_proxies = [\"10.0.0.1\"]\n[reach]\nlisten = [\"/ip4/0.0.0.0/tcp/7400\"]\n[turn]\nenabled = true\n\
                  external = \"203.0.113.7\"\nlan = [\"10.1.0.0/16\"]\n";
    // Allocate, permit 9.9.9.1, bind a channel to it, send, a peer's answer, refresh, an hour passes: see `reach/turn/fuzz.rs` for the form.
    let turn = [
        &[1, 1, 7, 3, 0x19, 4, 17, 0, 0, 0][..],
        &[1, 1, 11, 8, 0x12, 8, 0, 1, 0, 80, 0x28, 0x1b, 0xad, 0x43],
        &[1, 1, 17, 9, 0x0c, 4, 0x40, 0, 0, 0, 0x12, 8, 0, 1, 0, 80, 0x28, 0x1b, 0xad, 0x43],
        &[0, 1, 8, 0x40, 0, 0, 4, 1, 2, 3, 4],
        &[2, 1, 4, 1, 2, 3, 4],
        &[1, 1, 7, 4, 0x0d, 4, 0, 0, 0, 0],
        &[3, 255, 0, 0, 2, 20, 0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12],
    ]
    .concat();
    let signed = json!({ "payload": "e30", "device_signature": "AAAA", "account_signature": "AAAA" });
    let register = json!({
        "root": key, "invite": "AAAA", "name": "Ada", "account": key, "device": key, "label": "laptop", "time_ms": 1, "password": null,
    });
    vec![
        ("claims", claims.to_string().into_bytes()),
        ("claims", format!("{}.AAAAAAAAAAAAAAAAAAAAAA.{}", NOW_S * 1000, "A".repeat(86)).into_bytes()),
        ("turn_datagrams", turn),
        ("config", config.into()),
        ("admin_json", json!({ "uses": 20, "expires_s": 86_400 }).to_string().into_bytes()),
        ("admin_json", json!({ "device": key }).to_string().into_bytes()),
        ("admin_json", signed.to_string().into_bytes()),
        ("admin_json", register.to_string().into_bytes()),
    ]
}

fn run(name: &str, data: &[u8]) {
    TARGETS.iter().find(|(other, _)| *other == name).unwrap().1(data);
}

#[test]
fn any_truncation_flipped_bit_and_random_input_is_an_error_or_a_value() {
    let mut random = Seeded(17);
    for (name, sample) in samples() {
        run(name, &sample);
        for cut in 0..sample.len() {
            run(name, &sample[..cut]);
        }
        for _ in 0..400 {
            let mut mutant = sample.clone();
            for _ in 0..=random.next() % 4 {
                let place = random.next() as usize % mutant.len().max(1);
                let copied: Vec<u8> = mutant.iter().skip(place).take(9).copied().collect();
                match random.next() % 3 {
                    0 => mutant[place] ^= 1 << (random.next() % 8),
                    1 => mutant.insert(place, random.next() as u8),
                    _ => drop(mutant.splice(place..place, copied)),
                }
            }
            run(name, &mutant);
        }
    }
    for (name, _) in TARGETS {
        for _ in 0..200 {
            let bytes: Vec<u8> = (0..random.next() % 300).map(|_| random.next() as u8).collect();
            run(name, &bytes);
        }
    }
}

#[test]
fn the_corpus_is_there_and_breaks_nothing() {
    for (name, _) in TARGETS {
        let files: Vec<_> = std::fs::read_dir(corpus(name)).unwrap().flatten().collect();
        assert!(!files.is_empty(), "{name}");
        files.iter().for_each(|file| run(name, &std::fs::read(file.path()).unwrap()));
    }
}

#[test]
fn a_sample_of_turn_comes_all_the_way() {
    // What the corpus begins with is understood: a fuzzer that only ever met errors would find nothing.
    let (keys, _) = team();
    assert_eq!(keys.serial, 1);
    let sample = samples().into_iter().find(|(name, _)| *name == "turn_datagrams").unwrap().1;
    assert_eq!(conclave_bootstrap::fuzz::relayed(&sample), 2, "one datagram to the peer, one back");
}

#[test]
#[ignore = "writes the corpus of the fuzz targets"]
fn write_the_corpus() {
    for (index, (target, sample)) in samples().into_iter().enumerate() {
        std::fs::create_dir_all(corpus(target)).unwrap();
        std::fs::write(corpus(target).join(format!("sample-{index:02}")), sample).unwrap();
    }
}
