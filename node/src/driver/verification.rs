//! Codes that people compare, and whom this person has verified. Computing a code takes about 50 ms and 16 MiB, so it happens beside the
//! loop; a mark is on disk before it is shown.

use std::sync::Arc;

use conclave_protocol::codes::{CallCode, CodeError, PairwiseCode, VerifyError};
use conclave_protocol::id::{AccountId, DeviceId, RoomId, SessionId};
use conclave_protocol::session::Phase;
use conclave_protocol::verification::{Marks, Pins};
use conclave_protocol::wire;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinSet;

use super::Driver;
use super::rooms::RoomEntry;
use crate::command::Reply;
use crate::error::{CommandError, ErrorCode};
use crate::store::{Batch, Store, StoreError};
use crate::view::{CallCodeView, KeySeenView, SessionPhase, SessionView, VerificationView};

const MARKS_NOTE: &str = "verified";
const PINS_NOTE: &str = "keys";
/// Codes that are computed at one time; each takes 16 MiB. Further ones wait.
const AT_ONCE: usize = 2;

type Answer = oneshot::Sender<Result<Reply, CommandError>>;

/// What the store holds of marks.
pub(super) fn load_marks(store: &Store) -> Result<Marks, StoreError> {
    Ok(store.note(None, MARKS_NOTE)?.and_then(|note| readable(&note, "marks")).unwrap_or_default())
}

/// What the store holds of the keys that were seen in a room.
pub(super) fn load_pins(store: &Store, room: RoomId) -> Result<Pins, StoreError> {
    Ok(store.note(Some(&room), PINS_NOTE)?.and_then(|note| readable(&note, "pins")).unwrap_or_default())
}

fn readable<T: for<'b> minicbor::Decode<'b, ()>>(note: &[u8], what: &'static str) -> Option<T> {
    minicbor::decode(note).inspect_err(|error| tracing::error!(%error, what, "a note of the store cannot be read")).ok()
}

/// A code that was computed.
pub(super) enum CodeDone {
    Call {
        room: RoomId,
        session: SessionId,
        epoch: u64,
        code: Result<CallCode, CodeError>,
    },
    Scanned {
        room: RoomId,
        device: DeviceId,
        account: AccountId,
        checked: Result<(), CommandError>,
        answer: Answer,
    },
    /// Answered already, or given up.
    Nothing,
}

/// Marks, and the codes under way.
pub(super) struct Verification {
    marks: Marks,
    slots: Arc<Semaphore>,
    /// One for each room whose epoch changed, and one for each command that waits for a code.
    computing: JoinSet<CodeDone>,
}

impl Verification {
    pub(super) fn new(marks: Marks) -> Self {
        Self { marks, slots: Arc::new(Semaphore::new(AT_ONCE)), computing: JoinSet::new() }
    }

    pub(super) fn marks(&self) -> &Marks {
        &self.marks
    }

    /// The next code that is ready; `None` where none is under way. Cancelling this loses nothing.
    pub(super) async fn done(&mut self) -> Option<CodeDone> {
        self.computing.join_next().await.map(|done| done.unwrap_or(CodeDone::Nothing))
    }

    /// Runs `compute` beside the loop, and `then` with what it gave.
    fn compute<T: Send + 'static>(
        &mut self,
        compute: impl FnOnce() -> Result<T, CodeError> + Send + 'static,
        then: impl FnOnce(Result<T, CodeError>) -> CodeDone + Send + 'static,
    ) {
        let slots = Arc::clone(&self.slots);
        self.computing.spawn(async move {
            let Ok(_slot) = slots.acquire().await else { return CodeDone::Nothing };
            then(tokio::task::spawn_blocking(compute).await.unwrap_or(Err(CodeError::Failed)))
        });
    }
}

/// The call code of a room as it is shown.
#[derive(Debug, Default)]
pub(super) struct ShownCode {
    shown: Option<CallCodeView>,
    joined: Vec<String>,
    left: Vec<String>,
    /// A computation is under way.
    computing: bool,
    phase: Option<Phase>,
}

impl ShownCode {
    pub(super) fn view(&self) -> Option<CallCodeView> {
        self.shown.clone()
    }

    /// Whether the phase is another one than at the last call of this.
    pub(super) fn phase_changed(&mut self, phase: Phase) -> bool {
        self.phase.replace(phase) != Some(phase)
    }
}

impl RoomEntry {
    /// Remembers which account goes by which name.
    pub(super) fn pin_members(&mut self, now_ms: u64) -> Batch {
        let mut members: Vec<_> = self.room.acl().roster().collect();
        // Of two of a name who are met together, the one who was let in first is the one who had it.
        members.sort_by_key(|member| member.rank);
        let mut news = false;
        for member in members {
            news |= self.pins.see(&member.name, member.account, now_ms);
        }
        if news { self.pins_note() } else { Batch::new() }
    }

    fn pins_note(&self) -> Batch {
        Batch::new().note(Some(&self.room.id()), PINS_NOTE, Some(&wire::encode(&self.pins)))
    }

    pub(super) fn session_view(&self) -> SessionView {
        let phase = match self.session.phase() {
            Phase::Idle => SessionPhase::Idle,
            Phase::Joining => SessionPhase::Joining,
            Phase::Member => SessionPhase::Member,
            Phase::Writer => SessionPhase::Writer,
        };
        let epoch = self.session.epoch();
        let people = epoch.map_or(0, |epoch| epoch.roster.len().try_into().unwrap_or(u32::MAX));
        SessionView { phase, people, epoch: epoch.map(|epoch| epoch.epoch) }
    }
}

impl Driver {
    /// The keys of a session changed. The old code is not shown any more; the new one follows.
    pub(super) fn handle_code_due(&mut self, room: RoomId, joined: &[DeviceId], left: &[DeviceId]) {
        let Some(entry) = self.rooms.get_mut(&room) else { return };
        let (acl, me) = (entry.room.acl(), entry.room.me());
        let names = |devices: &[DeviceId]| -> Vec<String> {
            devices.iter().filter(|device| **device != me).filter_map(|device| acl.name_of(device)).map(str::to_owned).collect()
        };
        (entry.code.joined, entry.code.left) = (names(joined), names(left));
        entry.code.shown = None;
        self.dirty.insert(room);
        self.compute_code(room);
    }

    /// No session, no code.
    pub(super) fn forget_code(&mut self, room: RoomId) {
        if let Some(entry) = self.rooms.get_mut(&room) {
            entry.code.shown = None;
            self.dirty.insert(room);
        }
    }

    fn compute_code(&mut self, room: RoomId) {
        let Some(entry) = self.rooms.get_mut(&room).filter(|entry| !entry.code.computing) else { return };
        let Some(epoch) = entry.session.epoch() else { return };
        let (session, number, authenticator) = (epoch.session, epoch.epoch, epoch.authenticator.clone());
        entry.code.computing = true;
        self.verification.compute(
            move || CallCode::new(&authenticator, &room),
            move |code| CodeDone::Call { room, session, epoch: number, code },
        );
    }

    pub(super) async fn handle_code_done(&mut self, done: CodeDone) {
        match done {
            CodeDone::Call { room, session, epoch, code } => {
                let Some(entry) = self.rooms.get_mut(&room) else { return };
                entry.code.computing = false;
                if entry.session.epoch().map(|current| (current.session, current.epoch)) != Some((session, epoch)) {
                    // The keys changed meanwhile.
                    return self.compute_code(room);
                }
                match code {
                    Ok(code) => {
                        let (joined, left) = (entry.code.joined.clone(), entry.code.left.clone());
                        entry.code.shown = Some(CallCodeView { code: code.to_string(), joined, left });
                        self.dirty.insert(room);
                    }
                    Err(error) => tracing::error!(%error, "there is no call code"),
                }
            }
            CodeDone::Scanned { room, device, account, checked, answer } => {
                let outcome = match (checked, self.account_of(room, device)) {
                    (Ok(()), Ok(now)) if now == account => self.verify_confirm(room, device).await,
                    (Ok(()), Ok(_)) => Err(nobody()),
                    (Err(error), _) | (_, Err(error)) => Err(error),
                };
                // Whoever asked may have gone.
                let _ = answer.send(outcome);
            }
            CodeDone::Nothing => {}
        }
    }

    /// Answers when the code is there.
    pub(super) fn verify_show(&mut self, room: RoomId, device: DeviceId, answer: Answer) {
        let known = self.account_of(room, device).and_then(|account| {
            let entry = self.entry(room)?;
            let name = entry.room.acl().name_of(&device).unwrap_or_default().to_owned();
            let seen = entry.pins.history(&name).iter();
            let history = seen.map(|key| KeySeenView { account: key.account, since_ms: key.since_ms, accepted: key.accepted });
            Ok((account, history.collect::<Vec<_>>(), name))
        });
        let (account, history, name) = match known {
            Ok(known) => known,
            Err(error) => return drop(answer.send(Err(error))),
        };
        let (mine, key_changed) = (self.me.account.id(), self.is_key_changed(room, &device));
        let verified_ms = self.verification.marks.since(&account);
        self.verification.compute(
            move || PairwiseCode::new(mine, account),
            move |code| {
                let view = code.map_err(no_code).map(|code| VerificationView {
                    device,
                    account,
                    name,
                    code: code.to_string(),
                    link: code.link().to_string(),
                    verified_ms,
                    key_changed,
                    history,
                });
                let _ = answer.send(view.map(|verification| Reply::Verification { verification }));
                CodeDone::Nothing
            },
        );
    }

    /// Confirms where what was scanned is the code of these two.
    pub(super) fn verify_scan(&mut self, room: RoomId, device: DeviceId, scanned: String, answer: Answer) {
        let account = match self.account_of(room, device) {
            Ok(account) => account,
            Err(error) => return drop(answer.send(Err(error))),
        };
        let mine = self.me.account.id();
        self.verification.compute(
            move || PairwiseCode::new(mine, account),
            move |code| {
                let checked = code.map_err(no_code).and_then(|code| code.check(&scanned).map_err(bad_scan));
                CodeDone::Scanned { room, device, account, checked, answer }
            },
        );
    }

    pub(super) async fn verify_confirm(&mut self, room: RoomId, device: DeviceId) -> Result<Reply, CommandError> {
        let (account, now_ms) = (self.account_of(room, device)?, self.now_ms());
        let mut marks = self.verification.marks.clone();
        if !marks.verify(account, now_ms) {
            return Err(CommandError::new(ErrorCode::Busy, "So many people are verified that no more can be."));
        }
        // Whoever is verified may keep the name when the mark is taken away again.
        let accepted = self.accept(room, device)?;
        self.keep_marks(marks, accepted).await
    }

    pub(super) async fn verify_accept(&mut self, room: RoomId, device: DeviceId) -> Result<Reply, CommandError> {
        self.account_of(room, device)?;
        let accepted = self.accept(room, device)?;
        self.keep_marks(self.verification.marks.clone(), accepted).await
    }

    pub(super) async fn verify_clear(&mut self, room: RoomId, device: DeviceId) -> Result<Reply, CommandError> {
        let account = self.account_of(room, device)?;
        let mut marks = self.verification.marks.clone();
        marks.clear(&account);
        self.keep_marks(marks, None).await
    }

    /// The pins of a room in which this member has the right to their name.
    fn accept(&mut self, room: RoomId, device: DeviceId) -> Result<Option<(RoomId, Pins)>, CommandError> {
        let entry = self.entry(room)?;
        let Some(member) = entry.room.acl().member(&device) else { return Err(nobody()) };
        let mut pins = entry.pins.clone();
        Ok(pins.accept(&member.name, &member.account).then_some((room, pins)))
    }

    /// To disk, then to whoever looks, in every room.
    async fn keep_marks(&mut self, marks: Marks, pins: Option<(RoomId, Pins)>) -> Result<Reply, CommandError> {
        let mut batch = Batch::new().note(None, MARKS_NOTE, Some(&wire::encode(&marks)));
        if let Some((room, pins)) = &pins {
            batch = batch.note(Some(room), PINS_NOTE, Some(&wire::encode(pins)));
        }
        self.store.commit(batch).await?;
        self.verification.marks = marks;
        if let Some((room, pins)) = pins
            && let Some(entry) = self.rooms.get_mut(&room)
        {
            entry.pins = pins;
        }
        let rooms: Vec<RoomId> = self.rooms.keys().copied().collect();
        for room in rooms {
            self.dirty.insert(room);
            self.review_blocked(room);
        }
        Ok(Reply::Done {})
    }

    /// Another account had this member's name before, and this person has neither verified nor accepted them.
    pub(super) fn is_key_changed(&self, room: RoomId, device: &DeviceId) -> bool {
        let Some(entry) = self.rooms.get(&room) else { return false };
        let Some(member) = entry.room.acl().member(device) else { return false };
        member.account != self.me.account.id() && entry.pins.is_changed(&member.name, &member.account, &self.verification.marks)
    }

    /// The person of a member, other than this one.
    fn account_of(&mut self, room: RoomId, device: DeviceId) -> Result<AccountId, CommandError> {
        let account = self.entry(room)?.room.acl().member(&device).map(|member| member.account).ok_or_else(nobody)?;
        if account == self.me.account.id() { Err(no_code(CodeError::OnePerson)) } else { Ok(account) }
    }
}

fn nobody() -> CommandError {
    CommandError::new(ErrorCode::UnknownDevice, "There is no such member in the room.")
}

fn no_code(error: CodeError) -> CommandError {
    match error {
        CodeError::OnePerson => CommandError::new(ErrorCode::BadRequest, "There is no code with oneself."),
        CodeError::Failed => CommandError::new(ErrorCode::Busy, "The code could not be computed; try again."),
    }
}

fn bad_scan(error: VerifyError) -> CommandError {
    match error {
        VerifyError::OtherPeople => CommandError::new(
            ErrorCode::CodeMismatch,
            "The keys are not the same on both sides. Either this is another person's code, or someone stands between you: do not trust it.",
        ),
        VerifyError::Version => CommandError::new(ErrorCode::LinkVersion, "The code is of another version of Conclave."),
        VerifyError::Damaged => CommandError::new(ErrorCode::LinkDamaged, "The code is damaged: scan it again."),
        VerifyError::NotALink => CommandError::new(ErrorCode::LinkInvalid, "This is not a code for verifying someone."),
    }
}
