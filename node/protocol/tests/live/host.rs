use conclave_protocol::call::host::{HostAct, HostOrder, MAX_REACTION, Reaction, may_lead};
use conclave_protocol::call::{Call, CallEnd, CallOutput};
use conclave_protocol::id::{CallId, DeviceId};
use conclave_protocol::live::*;
use conclave_protocol::log::acl::Role;

use crate::support::{Seeded, ms};

const ME: DeviceId = DeviceId([1; 32]);
const ADA: DeviceId = DeviceId([2; 32]);
const BEN: DeviceId = DeviceId([3; 32]);

fn outputs(call: &mut Call) -> Vec<CallOutput> {
    std::iter::from_fn(|| call.poll_output()).filter(|output| !matches!(output, CallOutput::Say(_))).collect()
}

fn presence(call: CallId, counter: u64, hand_ms: Option<u64>) -> Presence {
    let in_call = InCall { call, joined_ms: 0, seated: true, media: MediaState::default(), level: 127, hand_ms };
    Presence { session: 1, counter, in_call: Some(in_call) }
}

/// A call of three, in which ADA and BEN are with this device.
fn of_three() -> (Call, CallId) {
    let mut call = Call::new(ME, 1);
    call.join(MediaState::default(), ms(0), 0, &mut Seeded(1));
    let id = call.current().unwrap();
    for device in [ADA, BEN] {
        call.handle_presence(device, presence(id, 1, None), ms(10));
    }
    outputs(&mut call);
    (call, id)
}

fn order(call: CallId, act: HostAct, target: Option<DeviceId>) -> HostOrder {
    HostOrder { call, act, target }
}

#[test]
fn only_admins_lead_and_nobody_leads_the_owner() {
    let all = [None, Some(Role::Viewer), Some(Role::Member), Some(Role::Admin), Some(Role::Owner)];
    for role in all {
        for target in all {
            let may = role >= Some(Role::Admin) && (target != Some(Role::Owner) || role == Some(Role::Owner));
            assert_eq!(may_lead(role, target), may, "{role:?} {target:?}");
        }
    }
}

#[test]
fn an_order_of_somebody_who_may_not_moves_nothing() {
    let (mut call, id) = of_three();
    call.set_hand(Some(5), ms(20));
    outputs(&mut call);
    for act in [HostAct::MUTE, HostAct::LOWER_HAND, HostAct::REMOVE, HostAct::END] {
        for target in [None, Some(ME), Some(BEN)] {
            call.handle_order(ADA, order(id, act, target), false, ms(30));
            // Nor does one of another call, of a stranger, or of a kind that is not known.
            call.handle_order(ADA, order(CallId([9; 16]), act, target), true, ms(30));
            call.handle_order(DeviceId([9; 32]), order(id, act, target), true, ms(30));
            call.handle_order(ADA, order(id, HostAct(77), target), true, ms(30));
        }
    }
    assert_eq!(outputs(&mut call), []);
    assert_eq!((call.current(), call.hand_ms(), call.peers().count()), (Some(id), Some(5), 2));
}

#[test]
fn a_host_mutes_lowers_removes_and_ends() {
    let (mut call, id) = of_three();
    call.handle_order(ADA, order(id, HostAct::MUTE, Some(ME)), true, ms(20));
    assert_eq!(outputs(&mut call), [CallOutput::MutedBy(ADA)]);
    call.set_hand(Some(5), ms(200));
    outputs(&mut call);
    call.handle_order(ADA, order(id, HostAct::LOWER_HAND, Some(ME)), true, ms(400));
    assert_eq!((outputs(&mut call), call.hand_ms()), (vec![CallOutput::HandLowered(ADA)], None));
    call.handle_order(ADA, order(id, HostAct::MUTE, Some(BEN)), true, ms(500));
    assert_eq!(outputs(&mut call), [], "it is for BEN to obey");
    call.handle_order(ADA, order(id, HostAct::REMOVE, Some(ME)), true, ms(600));
    assert!(outputs(&mut call).contains(&CallOutput::Ended(CallEnd::Removed(ADA))));
    assert_eq!(call.current(), None);
    let (mut call, id) = of_three();
    call.handle_order(ADA, order(id, HostAct::END, None), true, ms(600));
    assert!(outputs(&mut call).contains(&CallOutput::Ended(CallEnd::EndedForAll(ADA))));
}

#[test]
fn who_was_removed_and_stays_is_cut_off_until_it_comes_anew() {
    let (mut call, id) = of_three();
    call.handle_order(ADA, order(id, HostAct::REMOVE, Some(BEN)), true, ms(20));
    assert_eq!(outputs(&mut call), [CallOutput::RemovePeer(BEN, Departure::Removed)]);
    for counter in 2..9 {
        call.handle_presence(BEN, presence(id, counter, None), ms(counter * 500));
    }
    assert!(!call.peers().any(|peer| peer == BEN));
    call.handle_presence(BEN, Presence { session: 1, counter: 20, in_call: None }, ms(5_000));
    let mut again = presence(id, 21, None);
    again.in_call.as_mut().unwrap().joined_ms = 5_100;
    call.handle_presence(BEN, again, ms(5_100));
    assert!(call.peers().any(|peer| peer == BEN), "it may come back");
}

#[test]
fn hands_are_taken_in_the_order_in_which_they_went_up() {
    let (mut call, id) = of_three();
    call.handle_presence(BEN, presence(id, 2, Some(1_000)), ms(20));
    assert!(call.set_hand(Some(2_000), ms(30)) && !call.set_hand(Some(3_000), ms(40)), "up is up");
    call.handle_presence(ADA, presence(id, 2, Some(1_500)), ms(50));
    assert_eq!(call.hands(), [(1_000, BEN), (1_500, ADA), (2_000, ME)]);
    assert!(outputs(&mut call).contains(&CallOutput::ParticipantChanged(ADA)));
    call.handle_presence(BEN, presence(id, 3, None), ms(60));
    assert_eq!(call.hands(), [(1_500, ADA), (2_000, ME)]);
}

#[test]
fn reactions_are_shown_a_few_at_a_time_and_only_from_the_call() {
    let (mut call, id) = of_three();
    let wave = || Reaction { call: id, emoji: "👋".to_owned() };
    for _ in 0..100 {
        call.handle_reaction(ADA, wave(), ms(20));
    }
    assert_eq!(outputs(&mut call).len(), 8);
    call.handle_reaction(DeviceId([9; 32]), wave(), ms(30));
    call.handle_reaction(BEN, Reaction { call: CallId([9; 16]), ..wave() }, ms(30));
    for emoji in [String::new(), "x".repeat(MAX_REACTION + 1), "\u{7}".to_owned()] {
        call.handle_reaction(BEN, Reaction { call: id, emoji }, ms(30));
    }
    assert_eq!(outputs(&mut call), []);
    call.handle_reaction(BEN, wave(), ms(40));
    assert_eq!(outputs(&mut call), [CallOutput::Reacted(BEN, "👋".to_owned())]);
}

#[test]
fn an_older_version_reads_a_presence_with_a_hand() {
    let told = LivePayload::Presence(presence(CallId([7; 16]), 2, Some(9)));
    let bytes = conclave_protocol::wire::encode(&told);
    assert_eq!(conclave_protocol::wire::decode::<LivePayload>(&bytes).unwrap(), told);
    let without = LivePayload::Presence(presence(CallId([7; 16]), 2, None));
    assert!(conclave_protocol::wire::encode(&without).len() < bytes.len(), "a hand that is down is not told");
}
