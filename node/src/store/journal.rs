//! The store behind a queue: one thread owns it, async code asks it. It never answers a write before the disk did, and puts all
//! writes that wait into one durable transaction.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use conclave_protocol::id::RoomId;
use conclave_protocol::room::record::Record;
use tokio::sync::{mpsc, oneshot};

use super::Store;
use super::error::StoreError;
use super::records::Batch;

/// Requests that wait. Whoever asks when it is full waits for room: a slow disk slows the node down and costs no memory.
const QUEUE: usize = 256;
/// What one transaction takes at most.
const COMMIT_BYTES: usize = 8 * 1024 * 1024;

type Answer = oneshot::Sender<Result<(), StoreError>>;

enum Request {
    Commit(Batch, Answer),
    Read(Box<dyn FnOnce(&Store) + Send>),
    Close(Answer),
}

/// A cheap handle to the store's thread. The store closes with [`Self::close`], or when the last handle is dropped.
#[derive(Debug, Clone)]
pub struct StoreHandle {
    requests: mpsc::Sender<Request>,
    commits: Arc<AtomicU64>,
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Request(…)")
    }
}

impl StoreHandle {
    /// Gives the store a thread of its own.
    ///
    /// # Errors
    /// `Failed` where the system has no thread to give.
    pub fn start(store: Store) -> Result<Self, StoreError> {
        let (requests, queue) = mpsc::channel(QUEUE);
        let commits = Arc::new(AtomicU64::new(0));
        let counter = commits.clone();
        let thread = std::thread::Builder::new().name("store".to_owned()).spawn(move || serve(store, queue, &counter));
        thread.map_err(|error| StoreError::failed("the thread of the store", error))?;
        Ok(Self { requests, commits })
    }

    /// Returns when the batch is on disk. Cancelling this leaves open whether it will be.
    ///
    /// # Errors
    /// `Failed`, `Damaged`, `Closed`. All or nothing of the batch is on disk then: load again what it was about.
    pub async fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        let (answer, answered) = oneshot::channel();
        self.requests.send(Request::Commit(batch, answer)).await.map_err(|_| StoreError::Closed)?;
        answered.await.map_err(|_| StoreError::Closed)?
    }

    /// Records of a room. Returns when they are on disk, and only then may they be sent.
    ///
    /// # Errors
    /// As [`Self::commit`].
    pub async fn put_records(&self, room: &RoomId, records: &[Record]) -> Result<(), StoreError> {
        self.commit(Batch::new().records(room, records)).await
    }

    /// Runs `read` on the store's thread, after everything that was asked for before.
    ///
    /// # Errors
    /// Those of `read`, and `Closed`.
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let request = Request::Read(Box::new(move |store| {
            // Whoever asked may have gone.
            let _ = answer.send(read(store));
        }));
        self.requests.send(request).await.map_err(|_| StoreError::Closed)?;
        answered.await.map_err(|_| StoreError::Closed)?
    }

    /// Carries out what waits, then closes the file and lets go of the directory.
    ///
    /// # Errors
    /// `Failed`; closing twice is none.
    pub async fn close(&self) -> Result<(), StoreError> {
        let (answer, answered) = oneshot::channel();
        if self.requests.send(Request::Close(answer)).await.is_err() {
            return Ok(());
        }
        answered.await.unwrap_or(Ok(()))
    }

    /// Durable transactions so far.
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }
}

fn serve(mut store: Store, mut queue: mpsc::Receiver<Request>, commits: &AtomicU64) {
    let mut next = None;
    while let Some(request) = next.take().or_else(|| queue.blocking_recv()) {
        match request {
            Request::Commit(batch, answer) => {
                let mut bytes = batch.bytes();
                let mut batches = vec![batch];
                let mut answers = vec![answer];
                while bytes < COMMIT_BYTES {
                    match queue.try_recv() {
                        Ok(Request::Commit(batch, answer)) => {
                            bytes += batch.bytes();
                            batches.push(batch);
                            answers.push(answer);
                        }
                        Ok(other) => {
                            next = Some(other);
                            break;
                        }
                        Err(_) => break,
                    }
                }
                let result = store.commit(&batches);
                commits.fetch_add(1, Ordering::Relaxed);
                if let Err(error) = &result {
                    tracing::error!(%error, "the store did not take what it was given");
                }
                for answer in answers {
                    // Whoever asked may have gone.
                    let _ = answer.send(result.clone());
                }
            }
            Request::Read(read) => {
                // Where the disk still refuses, the read says so.
                let _ = store.recover();
                read(&store);
            }
            Request::Close(answer) => {
                let _ = answer.send(store.close());
                return;
            }
        }
    }
}
