use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use conclave_protocol::id::{CallId, DeviceId, RoomId};
use conclave_protocol::identity::DeviceKey;
use conclave_protocol::negotiation::*;
use conclave_protocol::wire;
use proptest::prelude::*;

use crate::support::{Seeded, ms};

const ROOM: RoomId = RoomId([7; 32]);
const CALL: CallId = CallId([8; 16]);

fn sdp(fingerprint: &Fingerprint, mark: &str) -> String {
    let hex: Vec<String> = fingerprint.iter().map(|byte| format!("{byte:02X}")).collect();
    format!("v=0\r\ns={mark}\r\na=fingerprint:sha-256 {}\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n", hex.join(":"))
}

/// A transport as the rules of RFC 9429 have it, which checks that it is only asked what it can do.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Signaling {
    Stable,
    LocalOffer(String),
}

#[derive(Clone, Debug)]
enum Operation {
    Offer,
    Answer { sdp: String, rollback: bool },
    Apply { sdp: String },
}

#[derive(Clone, Debug)]
struct Side {
    machine: Negotiation,
    ledger: FingerprintLedger,
    fingerprint: Fingerprint,
    name: char,
    made: u32,
    signaling: Signaling,
    /// The pair (offer, answer) in force.
    agreed: Option<(String, String)>,
    rounds: u32,
    operation: Option<Operation>,
    inbox: VecDeque<Signal>,
    candidates: usize,
    ended: Vec<NegotiationOutput>,
}

impl Side {
    fn new(key: &Arc<DeviceKey>, peer: DeviceId, name: char, seed: u64) -> Self {
        let fingerprint = [name as u8; 32];
        let config = NegotiationConfig { device: key.clone(), room: ROOM, call: CALL, peer, fingerprint };
        Self {
            machine: Negotiation::new(config, Duration::ZERO, &mut Seeded(seed)),
            ledger: FingerprintLedger::new(key.id(), fingerprint),
            fingerprint,
            name,
            made: 0,
            signaling: Signaling::Stable,
            agreed: None,
            rounds: 0,
            operation: None,
            inbox: VecDeque::new(),
            candidates: 0,
            ended: Vec::new(),
        }
    }

    fn make(&mut self, what: &str) -> String {
        self.made += 1;
        sdp(&self.fingerprint, &format!("{what}{}{}", self.name, self.made))
    }

    /// Finishes the operation under way.
    fn work(&mut self) {
        match self.operation.take() {
            None => {}
            Some(Operation::Offer) => {
                assert_eq!(self.signaling, Signaling::Stable, "an offer is made in the stable state");
                let offer = self.make("offer");
                self.signaling = Signaling::LocalOffer(offer.clone());
                self.machine.handle_local_description(offer);
            }
            Some(Operation::Answer { sdp, rollback }) => {
                assert_eq!(rollback, self.signaling != Signaling::Stable, "taken back exactly where an offer stands");
                let answer = self.make("answer");
                self.signaling = Signaling::Stable;
                self.agreed = Some((sdp, answer.clone()));
                self.rounds += 1;
                self.machine.handle_local_description(answer);
            }
            Some(Operation::Apply { sdp }) => {
                let Signaling::LocalOffer(offer) = std::mem::replace(&mut self.signaling, Signaling::Stable) else {
                    panic!("an answer without an offer")
                };
                self.agreed = Some((offer, sdp));
                self.rounds += 1;
                self.machine.handle_applied();
            }
        }
    }

    fn drain(&mut self, other: &mut Self) {
        while let Some(output) = self.machine.poll_output() {
            let operation = match output {
                NegotiationOutput::Send(signal) => {
                    let bytes = wire::encode(&signal);
                    other.inbox.push_back(wire::decode(&bytes).unwrap());
                    continue;
                }
                NegotiationOutput::CreateOffer => Operation::Offer,
                NegotiationOutput::ApplyOffer { sdp, rollback } => Operation::Answer { sdp, rollback },
                NegotiationOutput::ApplyAnswer { sdp } => Operation::Apply { sdp },
                NegotiationOutput::AddCandidate(_) => {
                    assert!(self.agreed.is_some(), "a candidate comes after a description");
                    self.candidates += 1;
                    continue;
                }
                output => {
                    self.ended.push(output);
                    continue;
                }
            };
            assert!(self.operation.is_none(), "one operation at a time");
            self.operation = Some(operation);
        }
    }

    fn deliver(&mut self) {
        if let Some(signal) = self.inbox.pop_front() {
            self.machine.handle_signal(signal, &mut self.ledger, ms(0));
        }
    }
}

#[derive(Clone, Debug)]
pub struct Pair {
    a: Side,
    b: Side,
    /// Negotiations that each side still wants to ask for.
    wishes: [u32; 2],
}

fn keys() -> (Arc<DeviceKey>, Arc<DeviceKey>) {
    (Arc::new(DeviceKey::from_seed(&[1; 32])), Arc::new(DeviceKey::from_seed(&[2; 32])))
}

impl Pair {
    fn new(seed: u64) -> Self {
        let (one, two) = keys();
        let mut pair =
            Self { a: Side::new(&one, two.id(), 'a', seed), b: Side::new(&two, one.id(), 'b', seed + 1), wishes: [1, 1] };
        pair.settle_outputs();
        pair
    }

    fn settle_outputs(&mut self) {
        self.a.drain(&mut self.b);
        self.b.drain(&mut self.a);
    }

    /// What can happen next.
    fn actions(&self) -> Vec<u8> {
        let can = [
            !self.a.inbox.is_empty(),
            !self.b.inbox.is_empty(),
            self.a.operation.is_some(),
            self.b.operation.is_some(),
            self.wishes[0] > 0,
            self.wishes[1] > 0,
        ];
        (0..6).filter(|action| can[usize::from(*action)]).collect()
    }

    fn act(&mut self, action: u8) {
        match action {
            0 => self.a.deliver(),
            1 => self.b.deliver(),
            2 => self.a.work(),
            3 => self.b.work(),
            4 => {
                self.wishes[0] -= 1;
                self.a.machine.handle_negotiation_needed();
            }
            _ => {
                self.wishes[1] -= 1;
                self.b.machine.handle_negotiation_needed();
            }
        }
        self.settle_outputs();
    }

    fn run(&mut self) {
        while let Some(action) = self.actions().first().copied() {
            self.act(action);
        }
    }

    fn assert_agreed(&self) {
        assert!(self.a.agreed.is_some(), "{self:?}");
        assert_eq!(self.a.agreed, self.b.agreed);
        assert_eq!((&self.a.signaling, &self.b.signaling), (&Signaling::Stable, &Signaling::Stable));
        assert!(self.a.ended.is_empty() && self.b.ended.is_empty(), "{:?} {:?}", self.a.ended, self.b.ended);
    }
}

#[test]
fn both_may_start_at_once_in_every_order_of_events() {
    let mut stack = vec![Pair::new(1)];
    let mut seen = HashSet::new();
    let mut ends = 0;
    while let Some(pair) = stack.pop() {
        let actions = pair.actions();
        if actions.is_empty() {
            pair.assert_agreed();
            ends += 1;
        }
        for action in actions {
            let mut next = pair.clone();
            next.act(action);
            if seen.insert(format!("{next:?}")) {
                stack.push(next);
            }
        }
    }
    assert!(seen.len() > 100 && ends > 0, "{} states, {ends} ends", seen.len());
}

#[test]
fn renegotiations_and_broken_streams_at_random_end_in_agreement() {
    for seed in 0..300 {
        let mut rng = Seeded(seed);
        let mut pair = Pair::new(seed);
        pair.wishes = [3, 3];
        let mut breaks = 3;
        loop {
            let actions = pair.actions();
            if actions.is_empty() && breaks == 0 {
                break;
            }
            if breaks > 0 && (actions.is_empty() || rng.chance(8.0)) {
                // The stream breaks: what was on its way is lost, and a new stream stands.
                breaks -= 1;
                pair.a.inbox.clear();
                pair.b.inbox.clear();
                pair.a.machine.handle_stream_reopened();
                pair.b.machine.handle_stream_reopened();
                pair.settle_outputs();
                continue;
            }
            if let Some(action) = actions.get(rng.below(actions.len() as u64) as usize) {
                pair.act(*action);
            }
        }
        pair.assert_agreed();
    }
}

#[test]
fn sides_that_restart_at_random_come_to_agree() {
    let (one, two) = keys();
    for seed in 0..300 {
        let mut rng = Seeded(seed);
        let mut pair = Pair::new(seed);
        let mut crashes = 4;
        for step in 0_u64.. {
            assert!(step < 2_000, "seed {seed}: they restart each other without end");
            for a_side in [true, false] {
                let side = if a_side { &mut pair.a } else { &mut pair.b };
                let restarted = match side.ended.pop() {
                    Some(NegotiationOutput::PeerRestarted(signal)) => Some(signal),
                    None => None,
                    other => panic!("seed {seed}: {other:?}"),
                };
                let crashed = crashes > 0 && rng.chance(4.0);
                if !crashed && restarted.is_none() {
                    continue;
                }
                crashes -= u32::from(crashed);
                let inbox = std::mem::take(&mut side.inbox);
                let mut fresh =
                    if a_side { Side::new(&one, two.id(), 'a', rng.next()) } else { Side::new(&two, one.id(), 'b', rng.next()) };
                fresh.machine.handle_negotiation_needed();
                if let Some(signal) = restarted.filter(|_| !crashed) {
                    fresh.machine.handle_signal(signal, &mut fresh.ledger, ms(0));
                }
                fresh.inbox = inbox;
                *side = fresh;
                pair.settle_outputs();
            }
            let actions = pair.actions();
            if actions.is_empty() && crashes == 0 && pair.a.ended.is_empty() && pair.b.ended.is_empty() {
                break;
            }
            if let Some(action) = actions.get(rng.below(actions.len() as u64) as usize) {
                pair.act(*action);
            }
        }
        pair.assert_agreed();
    }
}

#[test]
fn the_signed_certificate_is_verified_after_the_handshake() {
    let mut pair = Pair::new(1);
    pair.run();
    pair.a.machine.handle_handshake([b'b'; 32], &mut pair.a.ledger);
    assert_eq!(pair.a.machine.poll_output(), Some(NegotiationOutput::Verified));
    pair.b.machine.handle_handshake([b'x'; 32], &mut pair.b.ledger);
    assert_eq!(pair.b.machine.poll_output(), Some(NegotiationOutput::Mismatch(MismatchReason::Handshake)));
    pair.b.machine.handle_negotiation_needed();
    assert_eq!(pair.b.machine.poll_output(), None, "the machine is over");
}

/// Runs until `b` is about to receive the offer of `a`, and gives it.
pub fn offer_on_its_way() -> (Pair, Signal) {
    let mut pair = Pair::new(5);
    pair.wishes = [1, 0];
    loop {
        if let Some(signal) = pair.b.inbox.front()
            && matches!(signal.body, SignalBody::Description(_))
        {
            let signal = pair.b.inbox.pop_front().unwrap();
            return (pair, signal);
        }
        let action = pair.actions()[0];
        pair.act(action);
    }
}

fn verdict(pair: &mut Pair, signal: Signal) -> Option<NegotiationOutput> {
    pair.b.machine.handle_signal(signal, &mut pair.b.ledger, ms(0));
    pair.b.machine.poll_output()
}

fn with_description(signal: &Signal, change: impl FnOnce(&mut Description)) -> Signal {
    let mut signal = signal.clone();
    if let SignalBody::Description(description) = &mut signal.body {
        change(description);
    }
    signal
}

#[test]
fn an_untouched_offer_is_applied() {
    let (mut pair, signal) = offer_on_its_way();
    assert!(matches!(verdict(&mut pair, signal), Some(NegotiationOutput::ApplyOffer { rollback: false, .. })));
}

#[test]
fn a_wrong_signature_ends_the_connection() {
    let (pair, signal) = offer_on_its_way();
    let (one, two) = keys();
    let wrong = Some(NegotiationOutput::Mismatch(MismatchReason::Signature));
    for bit in [0, 100, 511] {
        let changed = with_description(&signal, |description| description.sig[bit / 8] ^= 1 << (bit % 8));
        assert_eq!(verdict(&mut pair.clone(), changed), wrong);
    }
    // Signed by another device, for another room, call, role, peer or attempt.
    let SignalBody::Description(good) = &signal.body else { panic!() };
    let nonce = signal.to.unwrap();
    let print = good.fingerprint;
    let (me, peer) = (one.id(), two.id());
    let offer = DescriptionKind::Offer;
    let signed = |key: &DeviceKey, room: RoomId, bytes: Vec<u8>| key.sign(DTLS_LABEL, &room, &bytes);
    let cases = [
        signed(&two, ROOM, binding(CALL, me, peer, &print, offer, nonce)),
        signed(&one, RoomId([1; 32]), binding(CALL, me, peer, &print, offer, nonce)),
        signed(&one, ROOM, binding(CallId([1; 16]), me, peer, &print, offer, nonce)),
        signed(&one, ROOM, binding(CALL, me, peer, &print, DescriptionKind::Answer, nonce)),
        signed(&one, ROOM, binding(CALL, me, DeviceId([9; 32]), &print, offer, nonce)),
        signed(&one, ROOM, binding(CALL, peer, me, &print, offer, nonce)),
        signed(&one, ROOM, binding(CALL, me, peer, &print, offer, Nonce([0; 16]))),
        one.sign("conclave/op/1", &ROOM, &binding(CALL, me, peer, &print, offer, nonce)),
    ];
    for sig in cases {
        let changed = with_description(&signal, |description| description.sig = sig);
        assert_eq!(verdict(&mut pair.clone(), changed), wrong);
    }
    let right = signed(&one, ROOM, binding(CALL, me, peer, &print, offer, nonce));
    let same = with_description(&signal, |description| description.sig = right);
    assert!(matches!(verdict(&mut pair.clone(), same), Some(NegotiationOutput::ApplyOffer { .. })));
}

fn resigned(signal: &Signal, fingerprint: Fingerprint, sdp: String) -> Signal {
    let (one, two) = keys();
    let nonce = signal.to.unwrap();
    with_description(signal, |description| {
        let bytes = binding(CALL, one.id(), two.id(), &fingerprint, description.kind, nonce);
        description.sig = one.sign(DTLS_LABEL, &ROOM, &bytes);
        description.fingerprint = fingerprint;
        description.sdp = sdp;
    })
}

#[test]
fn a_description_with_another_certificate_than_the_signed_one_ends_the_connection() {
    let (pair, signal) = offer_on_its_way();
    let other = resigned(&signal, [b'a'; 32], sdp(&[b'z'; 32], "x"));
    assert_eq!(verdict(&mut pair.clone(), other), Some(NegotiationOutput::Mismatch(MismatchReason::NotTheSigned)));
    let both = sdp(&[b'a'; 32], "x") + &sdp(&[b'z'; 32], "x");
    let both = resigned(&signal, [b'a'; 32], both);
    let ambiguous = MismatchReason::Fingerprint(FingerprintError::Ambiguous);
    assert_eq!(verdict(&mut pair.clone(), both), Some(NegotiationOutput::Mismatch(ambiguous)));
}

/// Someone else's attempt to connect with `b`, who signs the certificate of `a`; and what `b` thinks of it once they agree.
fn impostor(ledger: &FingerprintLedger) -> Side {
    let me = DeviceKey::from_seed(&[2; 32]);
    let stranger = Arc::new(DeviceKey::from_seed(&[3; 32]));
    let mut from_stranger = Side::new(&stranger, me.id(), 'a', 77);
    from_stranger.machine.handle_negotiation_needed();
    let mut to_stranger = Side::new(&Arc::new(me), stranger.id(), 'b', 78);
    to_stranger.ledger = ledger.clone();
    for _ in 0..12 {
        from_stranger.drain(&mut to_stranger);
        to_stranger.drain(&mut from_stranger);
        from_stranger.work();
        to_stranger.work();
        from_stranger.deliver();
        to_stranger.deliver();
    }
    to_stranger
}

#[test]
fn a_certificate_of_another_device_or_of_ourselves_is_refused() {
    let (pair, signal) = offer_on_its_way();
    let reused = Some(NegotiationOutput::Mismatch(MismatchReason::Reused));
    // Our own, presented back.
    let mut reflected = pair.clone();
    assert_eq!(verdict(&mut reflected, resigned(&signal, [b'b'; 32], sdp(&[b'b'; 32], "x"))), reused);
    // One that a third device has proved before, in this call.
    let mut third = pair;
    let mut to_stranger = impostor(&third.b.ledger);
    assert!(to_stranger.agreed.is_some());
    to_stranger.machine.handle_handshake([b'a'; 32], &mut to_stranger.ledger);
    third.b.ledger = to_stranger.ledger;
    assert_eq!(verdict(&mut third, signal.clone()), reused);
    // Or proves between the description and the handshake.
    let (mut late, _) = offer_on_its_way();
    assert!(matches!(verdict(&mut late, signal), Some(NegotiationOutput::ApplyOffer { .. })));
    late.b.ledger = third.b.ledger;
    late.b.machine.handle_handshake([b'a'; 32], &mut late.b.ledger);
    assert_eq!(late.b.machine.poll_output(), reused);
}

#[test]
fn whoever_signs_the_certificate_of_another_first_keeps_nobody_from_it() {
    let (mut pair, signal) = offer_on_its_way();
    let mut to_impostor = impostor(&pair.b.ledger);
    assert!(to_impostor.agreed.is_some(), "a signature alone looks right");
    pair.b.ledger = to_impostor.ledger;
    assert!(matches!(verdict(&mut pair, signal), Some(NegotiationOutput::ApplyOffer { .. })));
    pair.b.machine.handle_handshake([b'a'; 32], &mut pair.b.ledger);
    assert_eq!(pair.b.machine.poll_output(), Some(NegotiationOutput::Verified));
    // The impostor has not the key of the certificate, and can only make a handshake with another.
    to_impostor.machine.handle_handshake([b'c'; 32], &mut pair.b.ledger);
    assert_eq!(to_impostor.machine.poll_output(), Some(NegotiationOutput::Mismatch(MismatchReason::Handshake)));
}

#[test]
fn a_certificate_that_changes_within_an_attempt_ends_the_connection() {
    let (mut pair, signal) = offer_on_its_way();
    assert!(matches!(verdict(&mut pair, signal.clone()), Some(NegotiationOutput::ApplyOffer { .. })));
    let changed = resigned(&signal, [b'z'; 32], sdp(&[b'z'; 32], "x"));
    assert_eq!(verdict(&mut pair, changed), Some(NegotiationOutput::Mismatch(MismatchReason::Changed)));
}

#[test]
fn what_is_meant_for_another_call_or_an_earlier_attempt_is_ignored() {
    let (mut pair, signal) = offer_on_its_way();
    assert_eq!(verdict(&mut pair, Signal { call: CallId([0; 16]), ..signal.clone() }), None);
    assert_eq!(verdict(&mut pair, Signal { to: Some(Nonce([0; 16])), ..signal.clone() }), None);
    assert_eq!(verdict(&mut pair, Signal { to: None, ..signal.clone() }), None);
    assert!(verdict(&mut pair, signal).is_some());
}

#[test]
fn a_flood_of_descriptions_ends_the_connection() {
    let (mut pair, signal) = offer_on_its_way();
    assert!(verdict(&mut pair, signal.clone()).is_some());
    let mut ended = None;
    for number in 2..40 {
        let next = with_description(&signal, |description| description.number = number);
        if let Some(output) = verdict(&mut pair, next) {
            ended = Some(output);
            break;
        }
    }
    assert_eq!(ended, Some(NegotiationOutput::Failed(NegotiationError::Flood)));
}

#[test]
fn candidates_are_bounded_and_wait_for_a_description() {
    let (mut pair, offer) = offer_on_its_way();
    let candidate = |bytes: usize| Signal {
        call: CALL,
        to: offer.to,
        body: SignalBody::Candidate(Candidate { candidate: "c".repeat(bytes), mid: Some("0".into()), line: Some(0) }),
    };
    for _ in 0..10 {
        assert_eq!(verdict(&mut pair, candidate(100)), None);
    }
    assert_eq!(verdict(&mut pair, candidate(MAX_CANDIDATE_LEN + 1)), None);
    pair.b.machine.handle_signal(offer.clone(), &mut pair.b.ledger, ms(0));
    for _ in 0..500 {
        pair.b.machine.handle_signal(candidate(100), &mut pair.b.ledger, ms(0));
    }
    pair.settle_outputs();
    pair.run();
    assert_eq!(pair.b.candidates, MAX_CANDIDATES);
}

#[test]
fn an_operation_that_fails_ends_the_attempt() {
    let mut pair = Pair::new(1);
    while pair.a.operation.is_none() {
        let action = pair.actions()[0];
        pair.act(action);
    }
    pair.a.machine.handle_failed();
    assert_eq!(pair.a.machine.poll_output(), Some(NegotiationOutput::Failed(NegotiationError::Transport)));
}

#[test]
fn goodbye_closes_the_other_side() {
    let mut pair = Pair::new(1);
    pair.run();
    pair.a.machine.close();
    pair.settle_outputs();
    pair.b.deliver();
    assert_eq!(pair.b.machine.poll_output(), Some(NegotiationOutput::Closed));
}

#[test]
fn fingerprints_are_read_strictly() {
    let good = [0xab; 32];
    let hex = vec!["AB"; 32].join(":");
    let line = |text: &str| parse_fingerprints(&format!("v=0\r\n{text}\r\nm=audio\r\n"));
    assert_eq!(line(&format!("a=fingerprint:sha-256 {hex}")), Ok(good));
    assert_eq!(line(&format!("a=fingerprint:SHA-256 {}", hex.to_lowercase())), Ok(good));
    assert_eq!(line(&format!("a=fingerprint:sha-256 {hex}\r\na=fingerprint:sha-256 {hex}")), Ok(good));
    assert_eq!(line("a=ice-ufrag:x"), Err(FingerprintError::Missing));
    assert_eq!(line(&format!("a=fingerprint:sha-1 {hex}")), Err(FingerprintError::Algorithm));
    assert_eq!(line(&format!("a=fingerprint:sha-256 {hex}\r\na=fingerprint:sha-512 {hex}")), Err(FingerprintError::Algorithm));
    assert_eq!(line(&format!("a=fingerprint:sha-256 {hex}:AB")), Err(FingerprintError::Malformed));
    assert_eq!(line("a=fingerprint:sha-256 AB:CD"), Err(FingerprintError::Malformed));
    assert_eq!(line(&format!("a=fingerprint:sha-256 {}", hex.replacen("AB", "+B", 1))), Err(FingerprintError::Malformed));
    assert_eq!(line("a=fingerprint"), Err(FingerprintError::Malformed));
    let zero = vec!["00"; 32].join(":");
    for hidden in ["\n", "\r", "\r\n"] {
        let two = format!("a=fingerprint:sha-256 {hex}{hidden}a = Fingerprint : sha-256 {zero}");
        assert_eq!(line(&two), Err(FingerprintError::Ambiguous), "{hidden:?}");
    }
    assert_eq!(parse_fingerprints(&"x".repeat(MAX_SDP_LEN + 1)), Err(FingerprintError::TooLong));
}

#[test]
fn a_signal_of_an_unknown_kind_is_ignored() {
    let bytes = [0xa2, 0x00, 0x50, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 0x02, 0x82, 0x18, 99, 0xa1, 0x00, 0x01];
    let signal: Signal = wire::decode(&bytes).unwrap();
    assert_eq!(signal.body, SignalBody::Unknown(99));
}

proptest! {
    #[test]
    fn any_flipped_bit_or_cut_of_a_signal_is_an_error_or_a_value(bit in 0_usize..4_000, cut in 0_usize..400) {
        let signal = offer_on_its_way().1;
        let mut bytes = wire::encode(&signal);
        let at = bit % (bytes.len() * 8);
        bytes[at / 8] ^= 1 << (at % 8);
        let _ = wire::decode::<Signal>(&bytes);
        bytes.truncate(cut.min(bytes.len() - 1));
        prop_assert!(wire::decode::<Signal>(&bytes).is_err());
    }

    #[test]
    fn any_text_is_a_fingerprint_or_an_error(text in "(a=fingerprint:|sha-256 |[0-9A-F]{2}:|\r|\n| |.){0,80}") {
        let _ = parse_fingerprints(&text);
    }
}
