//! Perfect negotiation of the media between two devices, over their live stream. It never lets a description through whose DTLS
//! fingerprint the peer has not signed for this room, this call, this pair and this attempt.
//!
//! One machine stands for one attempt to connect. Both sides may offer at once: the device with the lower id does not yield, the other
//! takes its own offer back (W3C WebRTC, section 10.7). At most one operation of the transport is under way at any time; what arrives
//! meanwhile waits. A failed attempt is thrown away, and a new machine begins with a new nonce, by which the other side sees it.

use core::time::Duration;
use std::collections::VecDeque;
use std::sync::Arc;

use rand_core::CryptoRng;

use crate::allowance::Allowance;
use crate::id::{CallId, DeviceId, RoomId};
use crate::identity::{self, DeviceKey};

mod ledger;
mod message;
mod sdp;

pub use ledger::FingerprintLedger;
pub use message::{Candidate, Description, DescriptionKind, Empty, Fingerprint, Hello, Nonce, Signal, SignalBody, binding};
pub use sdp::{FingerprintError, parse_fingerprints};

/// Signature label of the binding of a certificate to a device.
pub const DTLS_LABEL: &str = "conclave/dtls/1";
/// Longest session description, in bytes.
pub const MAX_SDP_LEN: usize = 32 * 1024;
/// Longest candidate, in bytes.
pub const MAX_CANDIDATE_LEN: usize = 1024;
/// Candidates taken after one description of the peer. More are left out.
pub const MAX_CANDIDATES: usize = 64;
/// Descriptions that may wait for the transport; a peer that sends more is not served further.
const MAX_WAITING: usize = 8;
/// Descriptions a peer may send at once, and the time in which one more is allowed again.
const DESCRIPTION_BURST: u32 = 16;
const DESCRIPTION_INTERVAL: Duration = Duration::from_secs(2);

/// Why the peer is not who signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MismatchReason {
    /// The binding is not signed by the peer's device for this room, call, pair, role and attempt.
    #[error("the certificate is not signed by the device")]
    Signature,
    /// The description has no usable fingerprint.
    #[error("the description has no usable fingerprint: {0}")]
    Fingerprint(#[from] FingerprintError),
    /// The description names another certificate than the signed one.
    #[error("the description names another certificate than the signed one")]
    NotTheSigned,
    /// Another device of the call has signed the same certificate and made a handshake with it (RFC 8844).
    #[error("the certificate belongs to another device of this call")]
    Reused,
    /// A later description of the same attempt names another certificate.
    #[error("the certificate changed in the middle of the connection")]
    Changed,
    /// The handshake was made with another certificate than the signed one.
    #[error("the handshake was made with another certificate than the signed one")]
    Handshake,
}

/// Why an attempt ended without a mismatch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NegotiationError {
    /// The transport refused an operation.
    #[error("the transport refused a description")]
    Transport,
    /// The peer sends more descriptions than any honest one does.
    #[error("the peer sends too many descriptions")]
    Flood,
    /// Our own description is over the limit or has no fingerprint.
    #[error("our own description cannot be sent")]
    OwnDescription,
}

/// What a [`Negotiation`] wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NegotiationOutput {
    /// Send it to the peer.
    Send(Signal),
    /// Create an offer, set it as the local description, and give it to [`Negotiation::handle_local_description`].
    CreateOffer,
    /// Take the local offer back first where `rollback` is set; set this offer as the remote description, create an answer, set it as
    /// the local description, and give it to [`Negotiation::handle_local_description`]. After a rollback, ask for a negotiation again
    /// where the answer does not cover what the lost offer was for.
    ApplyOffer {
        /// The peer's offer.
        sdp: String,
        /// A local offer stands and must go.
        rollback: bool,
    },
    /// Set this answer as the remote description, and call [`Negotiation::handle_applied`].
    ApplyAnswer {
        /// The peer's answer.
        sdp: String,
    },
    /// Give this to the transport; one that it does not want is no error.
    AddCandidate(Candidate),
    /// The peer gives no more candidates.
    EndOfCandidates,
    /// The handshake was made with the signed certificate: media may flow.
    Verified,
    /// End the connection and tell the person. The machine is over.
    Mismatch(MismatchReason),
    /// End the connection and try anew. The machine is over.
    Failed(NegotiationError),
    /// The peer began a new attempt: end the connection, make a new machine and give it this signal. The machine is over.
    PeerRestarted(Signal),
    /// The peer closed the connection. The machine is over.
    Closed,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Stable,
    /// The transport makes our offer.
    Offering,
    /// Our offer waits for its answer.
    Offered {
        sdp: String,
    },
    /// The transport answers the peer's offer of this number.
    Answering {
        number: u32,
    },
    /// The transport applies the peer's answer.
    Applying,
    /// An output has ended it.
    Over,
}

/// What stays the same during one attempt.
#[derive(Debug, Clone)]
pub struct NegotiationConfig {
    /// Signs our certificate.
    pub device: Arc<DeviceKey>,
    /// The room of the call.
    pub room: RoomId,
    /// The call.
    pub call: CallId,
    /// The other side.
    pub peer: DeviceId,
    /// Of our certificate for this call.
    pub fingerprint: Fingerprint,
}

/// One attempt to connect with one peer.
#[derive(Debug, Clone)]
pub struct Negotiation {
    config: NegotiationConfig,
    nonce: Nonce,
    peer_nonce: Option<Nonce>,
    state: State,
    wanted: bool,
    /// The number of our latest offer.
    offers: u32,
    waiting: VecDeque<Description>,
    /// The peer's latest offer that was answered, and the answer, for a stream that broke in between.
    answered: Option<(u32, String)>,
    bound: Option<Fingerprint>,
    handshake: Option<Fingerprint>,
    verified: bool,
    remote_applied: bool,
    candidates: VecDeque<Candidate>,
    candidates_taken: usize,
    end_of_candidates: bool,
    /// Ours, the latest [`MAX_CANDIDATES`], for a peer that missed them.
    sent_candidates: VecDeque<Candidate>,
    gathered: bool,
    allowance: Allowance,
    outputs: VecDeque<NegotiationOutput>,
}

impl Negotiation {
    /// A new attempt. Its first output is the `Hello` to send.
    pub fn new(config: NegotiationConfig, now: Duration, rng: &mut impl CryptoRng) -> Self {
        let mut nonce = [0; 16];
        rng.fill_bytes(&mut nonce);
        let mut machine = Self {
            config,
            nonce: Nonce(nonce),
            peer_nonce: None,
            state: State::Stable,
            wanted: false,
            offers: 0,
            waiting: VecDeque::new(),
            answered: None,
            bound: None,
            handshake: None,
            verified: false,
            remote_applied: false,
            candidates: VecDeque::new(),
            candidates_taken: 0,
            end_of_candidates: false,
            sent_candidates: VecDeque::new(),
            gathered: false,
            allowance: Allowance::new(DESCRIPTION_BURST, DESCRIPTION_INTERVAL, now),
            outputs: VecDeque::new(),
        };
        machine.send_hello();
        machine
    }

    /// This side yields when both offer at once: the device with the higher id.
    pub fn is_polite(&self) -> bool {
        self.config.device.id() > self.config.peer
    }

    /// The certificate the peer has signed, once a description was taken.
    pub fn bound_fingerprint(&self) -> Option<Fingerprint> {
        self.bound
    }

    /// The next thing to do; call it after every input until `None`.
    pub fn poll_output(&mut self) -> Option<NegotiationOutput> {
        self.outputs.pop_front()
    }

    /// The transport has something to negotiate. May be called at any time, by both sides at once.
    pub fn handle_negotiation_needed(&mut self) {
        self.wanted = true;
        self.advance();
    }

    /// What [`NegotiationOutput::CreateOffer`] or [`NegotiationOutput::ApplyOffer`] gave: the local description as it was set.
    pub fn handle_local_description(&mut self, sdp: String) {
        let (kind, number) = match &self.state {
            State::Offering => {
                self.offers = self.offers.wrapping_add(1);
                (DescriptionKind::Offer, self.offers)
            }
            State::Answering { number } => (DescriptionKind::Answer, *number),
            _ => return,
        };
        let own = sdp.len() <= MAX_SDP_LEN && parse_fingerprints(&sdp) == Ok(self.config.fingerprint);
        if !own {
            return self.end(NegotiationOutput::Failed(NegotiationError::OwnDescription));
        }
        self.send_description(kind, number, sdp.clone());
        match kind {
            DescriptionKind::Offer => self.state = State::Offered { sdp },
            DescriptionKind::Answer => {
                self.answered = Some((number, sdp));
                self.state = State::Stable;
                self.release_candidates();
            }
        }
        self.advance();
    }

    /// [`NegotiationOutput::ApplyAnswer`] is done.
    pub fn handle_applied(&mut self) {
        if self.state == State::Applying {
            self.state = State::Stable;
            self.release_candidates();
            self.advance();
        }
    }

    /// The transport could not do what was asked.
    pub fn handle_failed(&mut self) {
        if matches!(self.state, State::Offering | State::Answering { .. } | State::Applying) {
            self.end(NegotiationOutput::Failed(NegotiationError::Transport));
        }
    }

    /// The transport has found an address of ours.
    pub fn handle_local_candidate(&mut self, candidate: Candidate) {
        if candidate.candidate.len() > MAX_CANDIDATE_LEN {
            return;
        }
        if self.sent_candidates.len() >= MAX_CANDIDATES {
            self.sent_candidates.pop_front();
        }
        self.sent_candidates.push_back(candidate.clone());
        self.gathered = false;
        self.send(SignalBody::Candidate(candidate));
    }

    /// The transport has found all addresses of ours.
    pub fn handle_gathering_complete(&mut self) {
        self.gathered = true;
        self.send(SignalBody::EndOfCandidates(Empty {}));
    }

    /// The DTLS handshake is over, made with this certificate of the peer. `ledger` is that of the call.
    pub fn handle_handshake(&mut self, certificate: Fingerprint, ledger: &mut FingerprintLedger) {
        self.handshake = Some(certificate);
        self.compare_certificates(ledger);
    }

    /// The live stream to the peer broke and another one stands: what was under way is said again.
    pub fn handle_stream_reopened(&mut self) {
        if self.state == State::Over {
            return;
        }
        self.send_hello();
        self.resend();
    }

    /// Closes the attempt, and tells the peer.
    pub fn close(&mut self) {
        if self.state != State::Over {
            self.send(SignalBody::Bye(Empty {}));
            self.state = State::Over;
        }
    }

    /// A signal from the peer, whose identity the stream proves. `ledger` is that of the call.
    pub fn handle_signal(&mut self, signal: Signal, ledger: &mut FingerprintLedger, now: Duration) {
        if self.state == State::Over || signal.call != self.config.call {
            return;
        }
        if let SignalBody::Hello(hello) = signal.body {
            return self.handle_hello(hello, signal);
        }
        if signal.to != Some(self.nonce) {
            return;
        }
        match signal.body {
            SignalBody::Description(description) => self.handle_description(description, ledger, now),
            SignalBody::Candidate(candidate) => self.handle_candidate(candidate),
            SignalBody::EndOfCandidates(_) => {
                self.end_of_candidates = true;
                self.release_candidates();
            }
            SignalBody::Bye(_) => self.end(NegotiationOutput::Closed),
            SignalBody::Hello(_) | SignalBody::Unknown(_) => {}
        }
    }

    fn handle_hello(&mut self, hello: Hello, signal: Signal) {
        let anew = self.peer_nonce.is_some_and(|known| known != hello.nonce);
        if anew && self.remote_applied {
            return self.end(NegotiationOutput::PeerRestarted(signal));
        }
        self.peer_nonce = Some(hello.nonce);
        if hello.yours != Some(self.nonce) {
            self.send_hello();
        }
        if anew {
            // Nothing of the peer's earlier attempt has reached the transport, so this one can serve. Restarting here too could make
            // both sides restart each other without end.
            self.waiting.clear();
            self.candidates.clear();
            self.end_of_candidates = false;
            self.bound = None;
            self.resend();
        }
        self.advance();
    }

    fn handle_description(&mut self, description: Description, ledger: &mut FingerprintLedger, now: Duration) {
        if !self.allowance.take(now) || self.waiting.len() >= MAX_WAITING {
            return self.end(NegotiationOutput::Failed(NegotiationError::Flood));
        }
        if let Err(reason) = self.check(&description, ledger) {
            return self.end(NegotiationOutput::Mismatch(reason));
        }
        self.candidates_taken = 0;
        self.waiting.push_back(description);
        self.compare_certificates(ledger);
        self.advance();
    }

    fn check(&mut self, description: &Description, ledger: &FingerprintLedger) -> Result<(), MismatchReason> {
        let Description { kind, fingerprint, sig, sdp, .. } = description;
        let (me, peer) = (self.config.device.id(), self.config.peer);
        let signed = binding(self.config.call, peer, me, fingerprint, *kind, self.nonce);
        identity::verify(peer.as_bytes(), DTLS_LABEL, &self.config.room, &signed, sig).map_err(|_| MismatchReason::Signature)?;
        if parse_fingerprints(sdp)? != *fingerprint {
            return Err(MismatchReason::NotTheSigned);
        }
        if self.bound.is_some_and(|bound| bound != *fingerprint) {
            return Err(MismatchReason::Changed);
        }
        if ledger.belongs_to_another(peer, fingerprint) {
            return Err(MismatchReason::Reused);
        }
        self.bound = Some(*fingerprint);
        Ok(())
    }

    fn handle_candidate(&mut self, candidate: Candidate) {
        let fits = candidate.candidate.len() <= MAX_CANDIDATE_LEN && candidate.mid.as_ref().is_none_or(|mid| mid.len() <= 64);
        if fits && self.candidates_taken < MAX_CANDIDATES && self.candidates.len() < MAX_CANDIDATES {
            self.candidates_taken += 1;
            self.candidates.push_back(candidate);
            self.release_candidates();
        }
    }

    /// Says again what the peer may have missed.
    fn resend(&mut self) {
        self.resend_offer();
        for candidate in self.sent_candidates.clone() {
            self.send(SignalBody::Candidate(candidate));
        }
        if self.gathered {
            self.send(SignalBody::EndOfCandidates(Empty {}));
        }
    }

    fn resend_offer(&mut self) {
        if let State::Offered { sdp } = &self.state {
            let sdp = sdp.clone();
            self.send_description(DescriptionKind::Offer, self.offers, sdp);
        }
    }

    /// Candidates wait until a description of the peer is applied, and while another one is being applied.
    fn release_candidates(&mut self) {
        if matches!(self.state, State::Answering { .. } | State::Applying | State::Over) {
            return;
        }
        if !self.remote_applied {
            return;
        }
        self.outputs.extend(self.candidates.drain(..).map(NegotiationOutput::AddCandidate));
        if self.end_of_candidates {
            self.end_of_candidates = false;
            self.outputs.push_back(NegotiationOutput::EndOfCandidates);
        }
    }

    /// Takes up what waits, as far as the state allows.
    fn advance(&mut self) {
        while matches!(self.state, State::Stable | State::Offered { .. }) {
            let Some(description) = self.waiting.pop_front() else { break };
            self.take(description);
        }
        if self.wanted && self.state == State::Stable && self.peer_nonce.is_some() {
            self.wanted = false;
            self.state = State::Offering;
            self.outputs.push_back(NegotiationOutput::CreateOffer);
        }
    }

    fn take(&mut self, description: Description) {
        let Description { kind, number, sdp, .. } = description;
        let offered = matches!(self.state, State::Offered { .. });
        match kind {
            DescriptionKind::Answer => {
                // One for an offer that was taken back is stale.
                if offered && number == self.offers {
                    self.state = State::Applying;
                    self.remote_applied = true;
                    self.outputs.push_back(NegotiationOutput::ApplyAnswer { sdp });
                }
            }
            DescriptionKind::Offer => {
                if let Some((answered, answer)) = &self.answered
                    && *answered == number
                {
                    let answer = answer.clone();
                    self.send_description(DescriptionKind::Answer, number, answer);
                    // The peer ignored our own offer, if it came while theirs still stood.
                    return self.resend_offer();
                }
                if offered && !self.is_polite() {
                    return;
                }
                self.state = State::Answering { number };
                self.remote_applied = true;
                self.outputs.push_back(NegotiationOutput::ApplyOffer { sdp, rollback: offered });
            }
        }
    }

    fn compare_certificates(&mut self, ledger: &mut FingerprintLedger) {
        let (Some(bound), Some(handshake)) = (self.bound, self.handshake) else { return };
        if self.state == State::Over || self.verified {
            return;
        }
        if bound != handshake {
            return self.end(NegotiationOutput::Mismatch(MismatchReason::Handshake));
        }
        if !ledger.claim(self.config.peer, bound) {
            return self.end(NegotiationOutput::Mismatch(MismatchReason::Reused));
        }
        self.verified = true;
        self.outputs.push_back(NegotiationOutput::Verified);
    }

    fn send_hello(&mut self) {
        let hello = Hello { nonce: self.nonce, yours: self.peer_nonce };
        let signal = Signal { call: self.config.call, to: None, body: SignalBody::Hello(hello) };
        self.outputs.push_back(NegotiationOutput::Send(signal));
    }

    fn send(&mut self, body: SignalBody) {
        if self.state != State::Over && self.peer_nonce.is_some() {
            let signal = Signal { call: self.config.call, to: self.peer_nonce, body };
            self.outputs.push_back(NegotiationOutput::Send(signal));
        }
    }

    fn send_description(&mut self, kind: DescriptionKind, number: u32, sdp: String) {
        let Some(peer_nonce) = self.peer_nonce else { return };
        let NegotiationConfig { device, room, call, peer, fingerprint } = &self.config;
        let signed = binding(*call, device.id(), *peer, fingerprint, kind, peer_nonce);
        let sig = device.sign(DTLS_LABEL, room, &signed);
        let fingerprint = *fingerprint;
        self.send(SignalBody::Description(Description { kind, number, sdp, fingerprint, sig }));
    }

    fn end(&mut self, output: NegotiationOutput) {
        self.state = State::Over;
        self.waiting.clear();
        self.candidates.clear();
        self.outputs.retain(|output| matches!(output, NegotiationOutput::Send(_)));
        self.outputs.push_back(output);
    }
}
