//! The side that heard a code: asks every device within reach for the number, and shows that it knows the words to few. It never takes a
//! room on the word of a speaker: what it gets is for the room's own rules to judge.

use core::fmt;
use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use rand_core::CryptoRng;

use super::message::RoomIs;
use super::{
    Agreed, Ask, HearerMessage, MAX_SPEAKER_FRAME, Prove, SPOKEN_FOR, Share, SpeakerMessage, SpokenCode, VERSION, begin, same,
};
use crate::id::{AccountId, DeviceId, RoomId};
use crate::identity::MemberCard;
use crate::knock::{Collected, REPLY_TIMEOUT, RefusalCode};
use crate::wire::{self, Signed};

/// To so many devices, that then did not prove that they know the words, a hearer shows what it knows: each could test one guess by it.
pub const MAX_SHOWN: u32 = 3;
/// Devices that are asked, at most; a further one is left out.
const MAX_ASKED: usize = 64;
/// Of which at a time.
const MAX_AT_ONCE: usize = 8;
/// Until a device that has no such code, or no time, is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(10);
/// After wrong words, for another device that speaks a code of the same number.
const OTHERS_HAVE: Duration = Duration::from_secs(3);

/// Why nobody let this device in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HearError {
    /// The speaker says that the words do not fit.
    #[error("the words are not those of the code")]
    WrongWords,
    /// The speaker says that the code lets nobody in any more.
    #[error("the code lets nobody in any more")]
    Gone,
    /// [`MAX_SHOWN`] devices claimed to speak the code, and none of them does.
    #[error("other devices answer for the code and do not know it")]
    Interference,
    /// A speaker that knows the words could not let this device in.
    #[error("the one who spoke the code could not let this device in")]
    Refused(RefusalCode),
    /// Nobody spoke this code for [`SPOKEN_FOR`].
    #[error("nobody within reach speaks this code")]
    Nobody,
}

/// Whom a code led to: someone who knows the words, and the room that they say it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Introduction {
    /// Which room.
    pub room: RoomId,
    /// Who spoke the code: the stream and CPace prove this device …
    pub speaker: DeviceId,
    /// … and this is its person, which the log of the room must bear out.
    pub account: AccountId,
}

/// What a [`Hearer`] wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HearerOutput {
    /// Open a stream to this device; then call [`Hearer::handle_opened`] or [`Hearer::handle_closed`].
    Open(DeviceId),
    /// Send this frame.
    Send {
        /// To whom.
        device: DeviceId,
        /// The payload of one frame.
        frame: Vec<u8>,
    },
    /// Close the stream to this device.
    Close(DeviceId),
    /// Let in: begin the room from these operations. The room says whether they are worth anything. The machine is over.
    Admitted(Introduction, Vec<Signed>),
    /// The machine is over.
    Failed(HearError),
}

#[allow(clippy::large_enum_variant)]
enum Stage {
    /// To be asked when the time comes.
    Idle,
    /// A stream is being opened.
    Opening,
    /// Asked; the offer must come.
    Asked(Share),
    /// The proof was shown; the other's must come.
    Shown(Agreed),
    /// Knows the words: the log comes.
    Receiving(Introduction, Collected),
    /// Never asked again.
    Done,
}

struct Asked {
    stage: Stage,
    /// Idle: when it may be asked. A conversation: when it is given up.
    due: Duration,
    /// Within reach.
    here: bool,
}

/// One code that was heard.
pub struct Hearer {
    code: SpokenCode,
    card: MemberCard,
    /// At most [`MAX_ASKED`].
    asked: BTreeMap<DeviceId, Asked>,
    shown: u32,
    /// What a device that offered said against the words: the end, unless another proves otherwise before.
    said: Option<(Duration, HearError)>,
    ends: Duration,
    over: bool,
    outputs: VecDeque<HearerOutput>,
}

impl Hearer {
    /// `card`: of this device.
    pub fn new(code: SpokenCode, card: MemberCard, now: Duration) -> Self {
        Self {
            code,
            card,
            asked: BTreeMap::new(),
            shown: 0,
            said: None,
            ends: now + SPOKEN_FOR,
            over: false,
            outputs: VecDeque::new(),
        }
    }

    /// Which code it is.
    pub fn number(&self) -> u32 {
        self.code.number()
    }

    /// A device is within reach: connected, so that a stream to it can be opened.
    pub fn handle_reachable(&mut self, device: DeviceId, now: Duration) {
        if !self.asked.contains_key(&device) && self.asked.len() >= MAX_ASKED {
            // One that went away gives its place.
            let gone = self.asked.iter().find(|(_, asked)| !asked.here && matches!(asked.stage, Stage::Idle)).map(|(id, _)| *id);
            let Some(gone) = gone else { return };
            self.asked.remove(&gone);
        }
        let asked = self.asked.entry(device).or_insert(Asked { stage: Stage::Idle, due: now, here: true });
        asked.here = true;
        self.ask_more(now);
    }

    /// A device is not connected any more.
    pub fn handle_unreachable(&mut self, device: DeviceId) {
        if let Some(asked) = self.asked.get_mut(&device) {
            asked.here = false;
        }
    }

    /// The stream to a device stands.
    pub fn handle_opened(&mut self, device: DeviceId, now: Duration, rng: &mut impl CryptoRng) {
        let Some(asked) = self.asked.get_mut(&device).filter(|asked| matches!(asked.stage, Stage::Opening)) else {
            return self.outputs.push_back(HearerOutput::Close(device));
        };
        let mut sid = [0; 32];
        rng.fill_bytes(&mut sid);
        let Some((share, kept)) = begin(&self.code, (&self.card.device, &device), &sid, rng) else { return };
        asked.stage = Stage::Asked(kept);
        asked.due = now + REPLY_TIMEOUT;
        let ask = Ask { version: VERSION, number: self.code.number(), sid, share };
        self.send(device, &HearerMessage::Ask(ask));
    }

    /// A frame of a speaker.
    pub fn handle_frame(&mut self, device: DeviceId, frame: &[u8], now: Duration) {
        if self.over {
            return;
        }
        let Some(asked) = self.asked.get_mut(&device) else { return };
        let Ok(message) = wire::decode_within::<SpeakerMessage>(frame, MAX_SPEAKER_FRAME) else {
            return self.drop_device(device, now);
        };
        match (message, core::mem::replace(&mut asked.stage, Stage::Done)) {
            (SpeakerMessage::Offer(offer), Stage::Asked(share)) => match share.finish(&offer.share) {
                Some(agreed) => self.prove(device, agreed, now),
                None => self.drop_device(device, now),
            },
            (SpeakerMessage::Proved(proved), Stage::Shown(agreed)) => {
                let told = agreed.open_speaker(&proved.sealed).filter(|_| same(&agreed.speaker_tag(), &proved.tag));
                match told.and_then(|plain| wire::decode::<RoomIs>(&plain).ok()) {
                    Some(is) => {
                        self.shown = self.shown.saturating_sub(1);
                        let whom = Introduction { room: is.room, speaker: device, account: is.account };
                        asked_mut(&mut self.asked, device, Stage::Receiving(whom, Collected::default()), now + REPLY_TIMEOUT);
                    }
                    None => self.drop_device(device, now),
                }
            }
            (SpeakerMessage::Admitted(part), Stage::Receiving(whom, mut log)) => match log.take(part) {
                Err(_) => self.drop_device(device, now),
                Ok(None) => asked_mut(&mut self.asked, device, Stage::Receiving(whom, log), now + REPLY_TIMEOUT),
                Ok(Some(ops)) => {
                    self.end();
                    self.outputs.push_back(HearerOutput::Admitted(whom, ops));
                }
            },
            (SpeakerMessage::Refused(refused), stage) => self.refused(device, RefusalCode::from_number(refused.code), stage, now),
            (SpeakerMessage::Unknown(_), stage) => asked.stage = stage,
            _ => self.drop_device(device, now),
        }
    }

    /// The stream to a device ended, or did not open.
    pub fn handle_closed(&mut self, device: DeviceId, now: Duration) {
        if let Some(asked) = self.asked.get_mut(&device) {
            match asked.stage {
                Stage::Idle | Stage::Done => {}
                Stage::Opening | Stage::Asked(_) => asked_mut(&mut self.asked, device, Stage::Idle, now + ASK_AGAIN),
                // It has what it could test a guess by: not a second time.
                Stage::Shown(_) => asked.stage = Stage::Done,
                // Let in perhaps, but the log did not come: the code is used up, and a member gets the log by knocking.
                Stage::Receiving(..) => self.fail(HearError::Refused(RefusalCode::Busy)),
            }
        }
        self.settle(now);
    }

    /// The time of [`Self::poll_timeout`] has come.
    pub fn handle_timeout(&mut self, now: Duration) {
        let late = |(_, asked): &(&DeviceId, &Asked)| {
            asked.due <= now && matches!(asked.stage, Stage::Opening | Stage::Asked(_) | Stage::Shown(_) | Stage::Receiving(..))
        };
        let late: Vec<DeviceId> = self.asked.iter().filter(late).map(|(device, _)| *device).collect();
        for device in late {
            self.outputs.push_back(HearerOutput::Close(device));
            self.handle_closed(device, now);
        }
        self.settle(now);
    }

    /// When to call [`Self::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Duration> {
        if self.over {
            return None;
        }
        let due = self.asked.values().filter(|asked| match asked.stage {
            Stage::Idle => asked.here,
            Stage::Done => false,
            _ => true,
        });
        due.map(|asked| asked.due).chain(self.said.map(|(at, _)| at)).chain([self.ends]).min()
    }

    /// The next thing to do; call it after every input until `None`.
    pub fn poll_output(&mut self) -> Option<HearerOutput> {
        self.outputs.pop_front()
    }

    /// Shows this device that the words are known here, if that was not done too often.
    fn prove(&mut self, device: DeviceId, agreed: Agreed, now: Duration) {
        if self.shown >= MAX_SHOWN {
            return self.drop_device(device, now);
        }
        self.shown += 1;
        let sealed = agreed.seal_hearer(&wire::encode(&self.card));
        let prove = Prove { tag: agreed.hearer_tag(), sealed };
        asked_mut(&mut self.asked, device, Stage::Shown(agreed), now + REPLY_TIMEOUT);
        self.send(device, &HearerMessage::Prove(prove));
    }

    fn refused(&mut self, device: DeviceId, code: RefusalCode, stage: Stage, now: Duration) {
        self.outputs.push_back(HearerOutput::Close(device));
        match stage {
            // It knows the words, so its answer is the answer.
            Stage::Receiving(..) => return self.fail(HearError::Refused(code)),
            // It may lie, or speak another code of this number: another device may still let this one in.
            Stage::Shown(_) => {
                let error = if code == RefusalCode::WrongWords { HearError::WrongWords } else { HearError::Gone };
                self.said.get_or_insert((now + OTHERS_HAVE, error));
            }
            Stage::Done => {}
            _ => asked_mut(&mut self.asked, device, Stage::Idle, now + ASK_AGAIN),
        }
        self.settle(now);
    }

    /// Does not keep to the protocol, or does not know the words.
    fn drop_device(&mut self, device: DeviceId, now: Duration) {
        asked_mut(&mut self.asked, device, Stage::Done, now);
        self.outputs.push_back(HearerOutput::Close(device));
        self.settle(now);
    }

    /// Ends where nothing can come of it, and asks who is due.
    fn settle(&mut self, now: Duration) {
        if self.over {
            return;
        }
        let under_way = self.asked.values().any(|asked| matches!(asked.stage, Stage::Shown(_) | Stage::Receiving(..)));
        if under_way {
            return;
        }
        let said = self.said.map(|(_, error)| error);
        if self.shown >= MAX_SHOWN {
            self.fail(said.unwrap_or(HearError::Interference));
        } else if let Some((_, error)) = self.said.filter(|(at, _)| *at <= now) {
            self.fail(error);
        } else if self.ends <= now {
            self.fail(HearError::Nobody);
        } else {
            self.ask_more(now);
        }
    }

    fn ask_more(&mut self, now: Duration) {
        if self.over {
            return;
        }
        let at_once = self.asked.values().filter(|asked| !matches!(asked.stage, Stage::Idle | Stage::Done)).count();
        let due = self.asked.iter_mut().filter(|(_, asked)| asked.here && asked.due <= now && matches!(asked.stage, Stage::Idle));
        for (device, asked) in due.take(MAX_AT_ONCE.saturating_sub(at_once)) {
            asked.stage = Stage::Opening;
            // A stream that does not open ends by itself; this is only a bound.
            asked.due = now + 2 * REPLY_TIMEOUT;
            self.outputs.push_back(HearerOutput::Open(*device));
        }
    }

    fn fail(&mut self, error: HearError) {
        if !self.over {
            self.end();
            self.outputs.push_back(HearerOutput::Failed(error));
        }
    }

    fn end(&mut self) {
        self.over = true;
        let open = self.asked.iter().filter(|(_, asked)| !matches!(asked.stage, Stage::Idle | Stage::Done));
        let open: Vec<DeviceId> = open.map(|(device, _)| *device).collect();
        self.outputs.extend(open.into_iter().map(HearerOutput::Close));
        self.asked.clear();
    }

    fn send(&mut self, device: DeviceId, message: &HearerMessage) {
        self.outputs.push_back(HearerOutput::Send { device, frame: wire::encode(message) });
    }
}

fn asked_mut(all: &mut BTreeMap<DeviceId, Asked>, device: DeviceId, stage: Stage, due: Duration) {
    if let Some(asked) = all.get_mut(&device) {
        asked.stage = stage;
        asked.due = due;
    }
}

impl fmt::Debug for Hearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hearer").field("code", &self.code).field("asked", &self.asked.len()).field("shown", &self.shown).finish()
    }
}
