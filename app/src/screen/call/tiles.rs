//! Who stands on the stage of a call, in which order, and what each tile says. Nothing is drawn here.

use conclave_node::view::{CallView, LinkState, ParticipantView, PictureKey, QualityView, RoomView, StreamKind};

use crate::intent::TileKey;
use crate::state::AppState;
use crate::widget::avatar::Person;
use crate::widget::call_stats::{path_lines, quality_key};
use crate::widget::video_tile::Tile;

/// Whose tile is the large one: what is pinned, else a share, else who speaks, else the first other.
pub(super) fn spotlight_index(state: &AppState, tiles: &[Tile]) -> usize {
    let pinned = state.stage.pinned.and_then(|key| tiles.iter().position(|tile| tile.key == key));
    let share = || tiles.iter().position(|tile| tile.screen && tile.key.device.is_some());
    let speaker = || {
        let device = state.call.as_ref()?.speaker?;
        tiles.iter().position(|tile| tile.key == TileKey { device: Some(device), stream: StreamKind::Camera })
    };
    let other = || tiles.iter().position(|tile| tile.key.device.is_some());
    pinned.or_else(share).or_else(speaker).or_else(other).unwrap_or(0)
}

pub(super) fn tiles(state: &AppState, call: &CallView, room: Option<&RoomView>) -> Vec<Tile> {
    let mut tiles = Vec::new();
    for person in &call.people {
        if person.screen_on {
            tiles.push(remote_tile(state, room, person, StreamKind::Screen));
        }
    }
    if call.me.screen.is_some() {
        tiles.push(own_tile(state, call, StreamKind::Screen));
    }
    for person in &call.people {
        tiles.push(remote_tile(state, room, person, StreamKind::Camera));
    }
    tiles.push(own_tile(state, call, StreamKind::Camera));
    tiles
}

fn remote_tile(state: &AppState, room: Option<&RoomView>, view: &ParticipantView, stream: StreamKind) -> Tile {
    let person = Person::in_room(state, room, view.device, &view.name);
    let key = TileKey { device: Some(view.device), stream };
    let screen = stream == StreamKind::Screen;
    let on = if screen { view.screen_on } else { view.camera_on };
    let connected = view.link == LinkState::Connected;
    let speaking = !screen && connected && view.speaking;
    let hand = (!screen).then(|| call_hand(state, Some(view.device))).flatten();
    let label = if screen { state.text.f("tile-screen", &[("name", person.name.as_str().into())]) } else { person.name.clone() };
    let trouble = match view.link {
        LinkState::Connected => None,
        LinkState::Connecting => Some("tile-connecting"),
        LinkState::Reconnecting => Some("tile-reconnecting"),
        LinkState::Mismatch => Some("tile-mismatch"),
        LinkState::KeyChanged => Some("tile-key-changed"),
    };
    // A path that is good enough is nobody's concern.
    let quality = (connected && view.quality >= QualityView::Poor).then(|| quality_key(view.quality));
    let trouble = trouble.or(quality).map(|key| state.text.t(key));
    let figures = connected.then(|| {
        let mut lines = path_lines(state, &view.stats);
        if let Some(rtt) = view.stats.rtt_ms {
            lines.push(state.text.f("tile-rtt", &[("ms", (rtt.round() as i64).into())]));
        }
        lines.push(state.text.f(
            "tile-rate",
            &[("down", (view.stats.received_kbps.round() as i64).into()), ("up", (view.stats.sent_kbps.round() as i64).into())],
        ));
        if on {
            lines.push(state.text.f("tile-fps", &[("fps", (view.stats.video_fps.round() as i64).into())]));
        }
        lines.push(state.text.f("tile-lost", &[("pct", format!("{:.1}", view.stats.audio_lost_pct).into())]));
        lines.join("\n")
    });
    let mut spoken = vec![label.clone()];
    if !screen {
        spoken.push(state.text.t(if view.mic_on { "spoken-mic-on" } else { "spoken-mic-off" }));
        if speaking {
            spoken.push(state.text.t("spoken-speaking"));
        }
    }
    if let Some(place) = hand {
        spoken.push(state.text.f("spoken-hand", &[("place", (place as i64).into())]));
    }
    spoken.extend(trouble.clone());
    Tile {
        key,
        label,
        spoken: spoken.join(", "),
        picture: on.then_some(PictureKey::Remote { device: view.device, stream }),
        screen,
        mirrored: false,
        mic_on: view.mic_on || screen,
        deafened: view.deafened && !screen,
        recording: view.recording && !screen,
        speaking,
        hand,
        pinned: state.stage.pinned == Some(key),
        link: Some(view.link),
        trouble,
        figures,
        person,
    }
}

/// At which place in the queue somebody's hand is, from 1.
fn call_hand(state: &AppState, device: Option<conclave_protocol::id::DeviceId>) -> Option<usize> {
    let hands = &state.call.as_ref()?.hands;
    hands.iter().position(|other| Some(*other) == device).map(|place| place + 1)
}

fn own_tile(state: &AppState, call: &CallView, stream: StreamKind) -> Tile {
    let me = state.profile.as_ref();
    let person = me.map_or_else(
        || Person::new(conclave_protocol::id::DeviceId([0; 32]), &[], &state.text.t("you")),
        |me| Person::new(me.device, me.account.as_bytes(), &me.name),
    );
    let key = TileKey { device: None, stream };
    let screen = stream == StreamKind::Screen;
    let on = if screen { call.me.screen.is_some() } else { call.me.camera.is_some() };
    let label = state.text.t(if screen { "tile-own-screen" } else { "you" });
    let mic = state.text.t(if call.me.mic_on { "spoken-mic-on" } else { "spoken-mic-off" });
    Tile {
        key,
        spoken: if screen { label.clone() } else { format!("{label}, {mic}") },
        label,
        picture: on.then_some(PictureKey::Own { stream }),
        screen,
        mirrored: !screen,
        mic_on: call.me.mic_on || screen,
        deafened: call.me.deafened && !screen,
        recording: call.me.recording.is_some() && !screen,
        speaking: call.me.speaking && !screen,
        hand: (!screen).then(|| call_hand(state, state.profile.as_ref().map(|me| me.device))).flatten(),
        pinned: state.stage.pinned == Some(key),
        link: None,
        trouble: None,
        figures: None,
        person,
    }
}
