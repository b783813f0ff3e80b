//! What fails between members behind NATs, and is whole again: their provider, their address, the team's node.

use conclave_tests::internet::{Internet, Nat};

use crate::reach::{call, goes_on, members};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root: make test-full"]
async fn what_was_said_on_both_sides_of_a_partition_is_there_on_both_when_it_heals() {
    let internet = Internet::new(&[Nat::Plain, Nat::Plain]).unwrap();
    let node = internet.node().unwrap();
    let [mut ada, mut bob] = members(&internet, &node).await;
    let room = ada.create_room("Kitchen", false).await.unwrap();
    let link = ada.invite(room, 1).await.unwrap();
    bob.join(&link, None).await.unwrap();
    ada.say(room, "before").await.unwrap();
    bob.wait_message(room, "before").await.unwrap();
    internet.set_cable(2, false).unwrap();
    ada.say(room, "from Ada, alone").await.unwrap();
    bob.say(room, "from Bob, alone").await.unwrap();
    internet.set_cable(2, true).unwrap();
    bob.wait_message(room, "from Ada, alone").await.unwrap();
    ada.wait_message(room, "from Bob, alone").await.unwrap();
    let order = |said: Vec<conclave_node::view::MessageView>| said.into_iter().map(|message| message.id).collect::<Vec<_>>();
    assert_eq!(order(ada.chat(room).await.unwrap()), order(bob.chat(room).await.unwrap()), "the same order on both sides");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root: make test-full"]
async fn a_node_that_was_away_is_used_again() {
    let internet = Internet::new(&[Nat::Plain, Nat::Plain]).unwrap();
    let mut node = internet.node().unwrap();
    let [mut ada, mut bob] = members(&internet, &node).await;
    node.kill().unwrap();
    node.start_again().unwrap();
    // Who has a place at the relay again is reached through it: there is no other way from one home to the other.
    let room = ada.create_room("Kitchen", false).await.unwrap();
    let link = ada.invite(room, 1).await.unwrap();
    bob.join(&link, None).await.unwrap();
    ada.say(room, "again").await.unwrap();
    bob.wait_message(room, "again").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root: make test-full"]
async fn a_call_goes_on_when_a_provider_gives_another_address() {
    let internet = Internet::new(&[Nat::Plain, Nat::Plain]).unwrap();
    let node = internet.node().unwrap();
    let mut people = members(&internet, &node).await;
    call(&mut people).await;
    let [ada, bob] = &mut people;
    internet.change_outer_address(2, "5.5.5.99").unwrap();
    for peer in [&mut *ada, &mut *bob] {
        peer.drain().unwrap();
    }
    goes_on(ada, bob.device(), 30).await;
    goes_on(bob, ada.device(), 30).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root: make test-full"]
async fn a_call_goes_on_when_a_host_gets_another_address() {
    let internet = Internet::new(&[Nat::Plain, Nat::Plain]).unwrap();
    let node = internet.node().unwrap();
    let mut people = members(&internet, &node).await;
    call(&mut people).await;
    let [ada, bob] = &mut people;
    internet.change_inner_address(2, "192.168.1.9").unwrap();
    for peer in [&mut *ada, &mut *bob] {
        peer.drain().unwrap();
    }
    goes_on(ada, bob.device(), 30).await;
    goes_on(bob, ada.device(), 30).await;
}
