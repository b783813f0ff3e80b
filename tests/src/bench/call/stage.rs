//! People in a call, each on a host of a LAN of their own.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use conclave_node::command::Command;
use conclave_node::event::Event;
use conclave_node::view::{ParticipantView, PictureKey, StreamKind};
use conclave_protocol::id::{DeviceId, RoomId};
use serde_json::json;

use crate::lan::Lan;
use crate::peer::{Peer, PeerOptions};
use crate::probe::Seen;

const NAMES: [&str; 8] = ["Ada", "Ben", "Cleo", "Dora", "Emil", "Finn", "Gita", "Hugo"];

/// What one of them is started with besides a name.
#[derive(Debug, Clone, Default)]
pub(super) struct Part {
    pub(super) env: Vec<(String, String)>,
    /// Another program in place of `conclave-node`.
    pub(super) program: Option<PathBuf>,
}

/// Members of one room who all see each other.
pub(super) async fn members(lan: &Lan, parts: &[Part]) -> Result<(RoomId, Vec<Peer>)> {
    let mut people = Vec::new();
    for ((part, name), host) in parts.iter().zip(NAMES).zip(1..) {
        let mut options = PeerOptions::named(name).on(lan, host).env(part.env.iter().cloned());
        options.program = part.program.clone();
        people.push(Peer::start(options).await?);
    }
    let count = people.len();
    let (first, others) = people.split_first_mut().context("somebody")?;
    let room = first.create_room("Bench", false).await?;
    let link = first.invite(room, others.len() as u32).await?;
    for other in others {
        other.join(&link, None).await?;
    }
    for peer in &mut people {
        peer.wait_room(room, "everybody online", |view| {
            view.members.iter().filter(|member| member.online || member.me).count() == count
        })
        .await?;
    }
    Ok((room, people))
}

pub(super) fn join(room: RoomId, mic: Option<&str>, camera: Option<&str>, speaker: &str) -> Command {
    Command::CallJoin {
        room,
        mic: Some(mic.unwrap_or("silence").into()),
        mic_on: mic.is_some(),
        camera: camera.map(Into::into),
        speaker: Some(speaker.into()),
    }
}

/// The first picture of a camera.
pub(super) async fn first_picture(peer: &mut Peer, of: DeviceId) -> Result<()> {
    peer.wait("a first picture", |event| match event {
        Event::CallFirstFrame { device, stream: StreamKind::Camera, .. } if *device == of => Some(()),
        _ => None,
    })
    .await
}

/// What a probe has seen of somebody's camera; `again` forgets it.
pub(super) async fn seen(probe: &mut Peer, of: DeviceId, again: bool) -> Result<Seen> {
    let key = PictureKey::Remote { device: of, stream: StreamKind::Camera };
    let value = probe.ask_raw(json!({ "cmd": "probe.read", "key": key, "reset": again })).await?;
    Ok(serde_json::from_value(value.map_err(|error| anyhow::anyhow!("{}", error.message))?)?)
}

pub(super) async fn watch(probe: &mut Peer, of: DeviceId) -> Result<()> {
    let key = PictureKey::Remote { device: of, stream: StreamKind::Camera };
    let value = probe.ask_raw(json!({ "cmd": "probe.watch", "key": key, "reset": false })).await?;
    value.map(drop).map_err(|error| anyhow::anyhow!("{}", error.message))
}

/// The figures of somebody as a peer tells them once a second, for so long.
pub(super) async fn figures(peer: &mut Peer, of: DeviceId, time: Duration) -> Result<Vec<ParticipantView>> {
    peer.drain()?;
    let begun = Instant::now();
    let mut told: Vec<ParticipantView> = Vec::new();
    while begun.elapsed() < time {
        let newest = peer
            .wait("figures of the call", |event| match event {
                Event::CallChanged { call: Some(call) } => call.people.iter().find(|person| person.device == of).cloned(),
                _ => None,
            })
            .await?;
        // What was told before lies in the queue.
        let at = peer.events.last().map_or(begun, |(at, _)| *at);
        if at >= begun && told.last().is_none_or(|last| last.stats != newest.stats) {
            told.push(newest);
        }
    }
    Ok(told)
}
