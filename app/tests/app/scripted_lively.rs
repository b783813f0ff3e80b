//! The world of the scripted node after a few weeks of use.

use conclave_node::view::*;
use conclave_protocol::id::{CallId, DeviceId};

use super::{ME, NOW_MS, World, account, room};

/// People and rooms as they are after a few weeks of use.
pub fn lively() -> World {
    use RoleView::{Admin, Member, Owner, Viewer};
    let d = |n: u8| DeviceId([n; 32]);
    let mut world = World::empty("Mira Okafor");
    let mut design = room(
        10,
        "Design review",
        &[
            (ME, "Mira Okafor", Owner, true),
            (d(2), "Ben Castellanos", Admin, true),
            (d(3), "Ada Lindqvist", Member, true),
            (d(4), "Tomás Ferreira", Member, true),
            (d(5), "Yuki Tanabe", Member, false),
            (d(6), "Leonie Brandt", Viewer, false),
        ],
    );
    design.call = Some(RoomCallView { call: CallId([5; 16]), people: vec![d(2), d(3), d(4)] });
    design.unread = 2;
    design.mentions = 1;
    let field = room(
        11,
        "Field office",
        &[(ME, "Mira Okafor", Member, true), (d(7), "Ngozi Eze", Owner, true), (d(8), "Per Holm", Member, false)],
    );
    let mut choir = room(12, "Choir rehearsal", &[(ME, "Mira Okafor", Admin, true), (d(9), "Clara Weiss", Owner, false)]);
    choir.unread = 7;
    choir.knocks = vec![KnockView {
        device: d(21),
        account: account(d(21)),
        name: "Jonas".into(),
        code: "48210937".into(),
        since_ms: NOW_MS,
    }];
    let mut old = room(13, "Workshop 2025", &[(ME, "Mira Okafor", Member, true), (d(9), "Clara Weiss", Owner, false)]);
    old.gone = true;
    let (design_id, field_id, choir_id) = (design.room, field.room, choir.room);
    world.state.rooms = vec![design, field, choir, old];

    let day = 86_400_000;
    let minute = 60_000;
    let lines: &[(u8, u64, &str)] = &[
        (3, day + 95 * minute, "Morning! I put the three layouts side by side, have a look before the review."),
        (2, day + 90 * minute, "Thanks. The second one reads best to me, the spacing around the tiles finally breathes."),
        (2, day + 89 * minute, "One thing: the *Reconnecting* state covers the name. Could it move up?"),
        (1, day + 80 * minute, "Good catch. I'd move it to the top edge and keep the picture visible behind it."),
        (4, 58 * minute, "I measured it on the old laptop, **21 ms a frame** with four tiles. Numbers are in `bench/app.json`."),
        (4, 57 * minute, "```\nframe_ms_p50  19.8\nframe_ms_p95  21.4\nidle_cpu_pct   0.2\n```"),
        (1, 41 * minute, "That's well inside what we promised 🎉"),
        (3, 22 * minute, "Notes from the usability round: https://example.org/notes/round-3"),
        (3, 21 * minute, "Two people asked where to find the invite link. I think the button should say what it does."),
        (2, 6 * minute, "@Mira Okafor can you share your screen in the call and walk us through it?"),
        (4, 5 * minute, "We are in already, join whenever you like."),
    ];
    for (author, ago, body) in lines {
        let mut message = world.message(design_id, d(*author), body, NOW_MS - ago);
        message.unread = *ago < 10 * minute;
        world.chats.entry(design_id).or_default().push(message);
    }
    let chat = world.chats.get_mut(&design_id).expect("just filled");
    chat[3].reply_to = Some(chat[2].id);
    chat[3].edited = true;
    chat[6].reactions = vec![
        ReactionView { emoji: "🎉".into(), by: vec![d(2), d(3), d(4)] },
        ReactionView { emoji: "👍".into(), by: vec![ME, d(2)] },
    ];
    chat[8].reactions = vec![ReactionView { emoji: "👍".into(), by: vec![d(2)] }];
    world.state.rooms[0].last_message = chat.last().cloned();
    let message = world.message(field_id, d(7), "The generator is back, we can meet at four.", NOW_MS - 3 * 60 * minute);
    world.state.rooms[1].last_message = Some(MessageView { unread: false, ..message.clone() });
    world.chats.insert(field_id, vec![message]);
    let message = world.message(choir_id, d(9), "Please bring the Bruckner scores!", NOW_MS - 26 * 60 * minute);
    world.state.rooms[2].last_message = Some(message.clone());
    world.chats.insert(choir_id, vec![message]);
    world
}
