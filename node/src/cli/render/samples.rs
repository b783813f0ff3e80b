//! Views for the tests of the renderer and its neighbours.

use conclave_protocol::id::{AccountId, CallId, DeviceId, OpHash, RoomId};

use crate::view::{
    KnockView, MemberView, MessageView, ReactionView, RoleView, RoomCallView, RoomView, SessionPhase, SessionView,
};

pub(crate) fn member(number: u8, name: &str) -> MemberView {
    MemberView {
        device: DeviceId([number; 32]),
        account: AccountId([number; 32]),
        name: name.to_owned(),
        role: RoleView::Member,
        online: true,
        me: false,
        frozen: false,
        verified_ms: None,
        key_changed: false,
    }
}

pub(crate) fn room(number: u8, name: &str) -> RoomView {
    RoomView {
        room: RoomId([number; 32]),
        name: name.to_owned(),
        approval: true,
        full_history: true,
        my_role: RoleView::Admin,
        gone: false,
        members: vec![MemberView { me: true, role: RoleView::Admin, ..member(1, "Ada") }, member(2, "Bob")],
        knocks: vec![KnockView {
            device: DeviceId([7; 32]),
            account: AccountId([7; 32]),
            name: "Mallory".to_owned(),
            code: "1234 5678".to_owned(),
            since_ms: 1_700_000_000_000,
        }],
        unread: 3,
        mentions: 1,
        last_message: None,
        call: Some(RoomCallView { call: CallId([5; 16]), people: vec![DeviceId([2; 32])] }),
        session: SessionView { phase: SessionPhase::Idle, people: 0, epoch: None },
        call_code: None,
        invites: Vec::new(),
    }
}

pub(crate) fn message(number: u8, body: &str) -> MessageView {
    MessageView {
        id: OpHash([number; 32]),
        author: DeviceId([2; 32]),
        author_name: "Bob".to_owned(),
        body: body.to_owned(),
        sent_ms: 1_700_000_000_000 + u64::from(number) * 60_000,
        edited: false,
        deleted: false,
        reply_to: None,
        mentions: Vec::new(),
        reactions: vec![ReactionView { emoji: "👍".to_owned(), by: vec![DeviceId([1; 32])] }],
        mine: false,
        unread: true,
        from_newer_version: false,
    }
}
