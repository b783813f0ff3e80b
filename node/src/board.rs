//! The whiteboards of this device's rooms, on a thread of their own: a document may take its time, and the loop may not. It holds no key and
//! signs nothing; what is drawn here goes back to the loop, which writes it into the room's log.

mod desk;
mod export;
mod pdf;
pub(crate) mod picture;
mod raster;

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use conclave_crdt::interchange::picture::Picture;
use conclave_crdt::{Actor, Edit, PageEdit, PageId};
use conclave_protocol::id::{DeviceId, RoomId};
use tokio::sync::{mpsc, oneshot};

use self::desk::Desk;
pub(crate) use self::export::name_of as picture_name;
use crate::command::{BoardFormat, Reply};
use crate::driver::Shelf;
use crate::error::{CommandError, ErrorCode};
use crate::event::Event;

/// What the loop may have given that the thread did not take yet. Beyond it commands are refused, and what came from others is read anew from
/// the log the next time the board is asked for.
const MAX_JOBS: usize = 1024;
/// What the thread may have done that the loop did not take yet: then the thread waits.
const MAX_DONE: usize = 256;

/// Who waits for an answer.
pub(crate) type Answer = oneshot::Sender<Result<Reply, CommandError>>;

/// An operation of the room's log that is a board's.
#[derive(Debug, Clone)]
pub(crate) struct BoardOp {
    pub(crate) actor: Actor,
    pub(crate) author: DeviceId,
    pub(crate) body: Vec<u8>,
}

/// What a person or a script asks of a board.
#[derive(Debug)]
pub(crate) enum Ask {
    Show,
    Page { page: PageId, moment: Option<u32> },
    Edit { page: PageId, edits: Vec<Edit>, gesture: u64 },
    Pages(PageEdit),
    Undo { redo: bool },
    History { page: PageId },
    Restore { page: PageId, moment: u32 },
    Export { page: PageId, format: BoardFormat, path: PathBuf, pictures: Shelf },
    Import { page: PageId, path: PathBuf },
}

impl Ask {
    /// It changes the board, which not everyone may.
    pub(crate) fn writes(&self) -> bool {
        !matches!(self, Self::Show | Self::Page { .. } | Self::History { .. } | Self::Export { .. })
    }
}

/// What the loop gives to the thread.
#[derive(Debug)]
pub(crate) enum Job {
    /// All that the log has of a board: it is built anew.
    Open {
        room: RoomId,
        actor: Actor,
        ops: Vec<BoardOp>,
    },
    /// What else came.
    Merge {
        room: RoomId,
        ops: Vec<BoardOp>,
    },
    /// What was to be written is in the log now, or never will be.
    Written {
        room: RoomId,
        batch: u64,
    },
    Close {
        room: RoomId,
    },
    Ask {
        room: RoomId,
        can_edit: bool,
        ask: Ask,
        answer: Answer,
    },
    /// Everything that is not written yet is to be, and then the thread ends.
    Stop,
}

/// What the thread gives to the loop.
#[derive(Debug)]
pub(crate) enum Done {
    Happened(Event),
    /// To be written into the room's log, each as an operation; then those who waited get their answers.
    Write {
        room: RoomId,
        batch: u64,
        bodies: Vec<Vec<u8>>,
        answers: Vec<(Answer, Reply)>,
    },
    /// Pictures that came with a file, to be shared in the room.
    Pictures {
        room: RoomId,
        pictures: Vec<Picture>,
    },
    /// Its outcome depends on the order in which things came: it is to be opened anew, in the order everyone shares.
    Reopen {
        room: RoomId,
    },
}

/// The thread, as the loop holds it.
pub(crate) struct Boards {
    jobs: SyncSender<Job>,
    pub(crate) done: mpsc::Receiver<Done>,
}

impl Boards {
    pub(crate) fn start() -> Result<Self, CommandError> {
        let (jobs, received) = sync_channel(MAX_JOBS);
        let (done, results) = mpsc::channel(MAX_DONE);
        let thread = std::thread::Builder::new().name("boards".to_owned());
        thread.spawn(move || run(&received, Desk::new(done))).map_err(|error| {
            CommandError::new(ErrorCode::Busy, format!("The system gives no thread for the boards: {error}."))
        })?;
        Ok(Self { jobs, done: results })
    }

    /// Whether the thread took it. It never waits.
    pub(crate) fn give(&self, job: Job) -> bool {
        match self.jobs.try_send(job) {
            Ok(()) => true,
            Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) => {
                if let Job::Ask { answer, .. } = job {
                    let busy = CommandError::new(ErrorCode::Busy, "The boards have more to do than they can take; try again.");
                    let _ = answer.send(Err(busy));
                }
                false
            }
        }
    }
}

fn run(jobs: &Receiver<Job>, mut desk: Desk) {
    loop {
        let now = Instant::now();
        let patience = desk.due(now).map_or(Duration::from_secs(3600), |due| due.saturating_duration_since(now));
        match jobs.recv_timeout(patience) {
            Ok(Job::Stop) => {
                desk.write_everything();
                return;
            }
            Ok(job) => desk.handle(job, Instant::now()),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        desk.write_due(Instant::now());
    }
}
