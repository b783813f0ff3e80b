//! The store behind its queue: acknowledged is durable, and waiting writes share a transaction.

use super::{create, directory, open, room};
use crate::store::{Batch, StoreError, StoreHandle};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_small_writes_share_few_transactions_and_all_are_there() {
    let dir = directory();
    let handle = StoreHandle::start(create(dir.path())).unwrap();
    let writes = (0..1000_u32).map(|number| {
        let handle = handle.clone();
        tokio::spawn(async move { handle.commit(Batch::new().record(&room(1), &number.to_be_bytes(), b"v")).await })
    });
    for write in writes.collect::<Vec<_>>() {
        write.await.unwrap().unwrap();
    }
    assert!(handle.commits() < 500, "{} transactions for 1000 writes", handle.commits());
    assert_eq!(handle.read(|store| store.load_records(&room(1))).await.unwrap().len(), 1000);
    handle.close().await.unwrap();
    assert_eq!(handle.commit(Batch::new().setting("late", Some("1"))).await, Err(StoreError::Closed));
    assert_eq!(handle.read(|store| store.setting("late")).await, Err(StoreError::Closed));
    assert_eq!(handle.close().await, Ok(()));
    assert_eq!(open(dir.path()).unwrap().load_records(&room(1)).unwrap().len(), 1000);
}

#[tokio::test]
async fn a_read_sees_every_write_asked_for_before_it() {
    let dir = directory();
    let handle = StoreHandle::start(create(dir.path())).unwrap();
    for number in 0..20 {
        let text = number.to_string();
        let (written, read) =
            tokio::join!(handle.commit(Batch::new().setting("n", Some(&text))), handle.read(|store| store.setting("n")),);
        written.unwrap();
        assert_eq!(read.unwrap(), Some(text.clone()));
    }
}

#[tokio::test]
async fn the_directory_is_free_when_the_last_handle_is_gone() {
    let dir = directory();
    let handle = StoreHandle::start(create(dir.path())).unwrap();
    let other = handle.clone();
    drop(handle);
    other.commit(Batch::new().setting("a", Some("b"))).await.unwrap();
    other.close().await.unwrap();
    assert_eq!(open(dir.path()).unwrap().setting("a").unwrap().as_deref(), Some("b"));
}
