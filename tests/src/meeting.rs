//! A whole meeting of three, looked at from outside: what `make demo` shows and a scenario asserts.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use conclave_node::command::Command;
use conclave_node::event::Event;
use conclave_node::view::{PictureKey, StreamKind};
use conclave_protocol::id::{DeviceId, RoomId};
use serde::Serialize;
use serde_json::{Value, json};

use crate::display::Display;
use crate::lan::Lan;
use crate::painter::Painter;
use crate::peer::{Peer, PeerOptions};
use crate::probe::Seen;
use crate::process::{cpu_time, program, rss_kib};
use crate::sound::SoundServer;
use crate::{clicks, sound};

/// How the meeting is to go.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub call_seconds: u64,
    /// Hears of the progress.
    pub say: fn(&str),
}

/// What was seen. A figure that could not be taken is `null`, and `why` says why.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Outcome {
    pub peers: u32,
    /// `namespaces` (a LAN of network namespaces, found by mDNS) or `loopback` (addresses in the link).
    pub network: String,
    pub discovered_ms: Option<u64>,
    pub joined_ms: Option<u64>,
    pub first_frame_ms: Option<u64>,
    pub video_fps: f64,
    pub video_frozen_ms: u64,
    pub video_size: String,
    pub glass_to_glass_ms_p50: Option<u64>,
    pub glass_to_glass_ms_p95: Option<u64>,
    pub screen_fps: f64,
    pub screen_glass_to_glass_ms_p50: Option<u64>,
    pub mouth_to_ear_ms_p50: Option<u64>,
    pub clicks_heard: u32,
    pub audio_lost_pct: Option<f64>,
    pub chat_converged: bool,
    pub chat_messages: usize,
    pub lost_seen_ms: Option<u64>,
    pub recovered_ms: Option<u64>,
    pub cpu_pct_per_peer: Option<f64>,
    pub cpu_pct_by_peer: BTreeMap<String, f64>,
    pub rss_mib_per_peer: Option<f64>,
    pub rss_mib_by_peer: BTreeMap<String, f64>,
    pub why: BTreeMap<String, String>,
}

impl Outcome {
    /// Whether everything that can be seen on this machine was seen.
    pub fn is_whole(&self) -> bool {
        self.chat_converged
            && self.video_fps > 0.0
            && self.screen_fps > 0.0
            && self.recovered_ms.is_some()
            && self.first_frame_ms.is_some()
            && self.joined_ms.is_some()
            && (self.mouth_to_ear_ms_p50.is_some() || self.why.contains_key("mouth_to_ear_ms_p50"))
    }
}

/// The stage: network, sound and screen, and the three who meet on it.
#[derive(Debug)]
pub struct Meeting {
    plan: Plan,
    lan: Option<Lan>,
    sound: Option<SoundServer>,
    seen: Outcome,
}

impl Meeting {
    /// Lives through it.
    pub async fn live(plan: Plan) -> Result<Outcome> {
        let mut meeting = Self { plan, lan: None, sound: None, seen: Outcome { peers: 3, ..Outcome::default() } };
        meeting.set_the_stage();
        meeting.play().await?;
        Ok(meeting.seen)
    }

    fn say(&self, line: &str) {
        (self.plan.say)(line);
    }

    fn set_the_stage(&mut self) {
        if Lan::is_possible() {
            match Lan::new(3) {
                Ok(lan) => self.lan = Some(lan),
                Err(error) => self.say(&format!("no network namespaces ({error:#}); using loopback")),
            }
        }
        self.seen.network = if self.lan.is_some() { "namespaces" } else { "loopback" }.into();
        self.say(&format!("network: {}", self.seen.network));
        match SoundServer::start(&["mouth", "ear"]) {
            Ok(server) => self.sound = Some(server),
            Err(error) => {
                self.say(&format!("no sound server: {error:#}"));
                self.seen.why.insert("mouth_to_ear_ms_p50".into(), format!("{error:#}"));
            }
        }
    }

    fn options(&self, name: &str, host: usize) -> PeerOptions {
        let options = PeerOptions::named(name).env(self.sound.iter().flat_map(SoundServer::environment));
        match &self.lan {
            Some(lan) => options.on(lan, host),
            // mDNS does not run over loopback: the link's address hints lead there.
            None => options.args(["--no-mdns", "--listen", "/ip4/127.0.0.1/tcp/0", "--listen", "/ip4/127.0.0.1/udp/0/quic-v1"]),
        }
    }

    async fn play(&mut self) -> Result<()> {
        let display = Display::start(1280, 720).context("the screen to share (Xvfb)")?;
        let _painter = Painter::start(display.name())?;
        let scratch = tempfile::tempdir()?;

        self.say("Ada, Ben and Cleo start, each on a host of their own");
        let mut ada_options = self.options("Ada", 1);
        ada_options.env.push(("DISPLAY".into(), display.name().into()));
        let mut ben_options = self.options("Ben", 2);
        ben_options.program = Some(program("conclave-probe")?);
        let mut ada = Peer::start(ada_options).await?;
        let mut ben = Peer::start(ben_options).await?;
        let mut cleo = Peer::start(self.options("Cleo", 3)).await?;
        if self.lan.is_some() {
            let after = cleo
                .wait("a neighbour", |event| match event {
                    Event::PeerDiscovered { after_ms, .. } => Some(*after_ms),
                    _ => None,
                })
                .await?;
            self.seen.discovered_ms = Some(after);
            self.say(&format!("Cleo found a neighbour after {after} ms"));
        } else {
            self.seen.why.insert("discovered_ms".into(), "mDNS does not run over loopback; namespaces need root".into());
        }

        self.say("Ada makes a room and a link; Ben and Cleo join by it");
        let room = ada.create_room("Demo", false).await?;
        let link = ada.invite(room, 2).await?;
        let mut joins = Vec::new();
        for peer in [&mut ben, &mut cleo] {
            let start = Instant::now();
            peer.join(&link, None).await.with_context(|| format!("{} joins", peer.name))?;
            joins.push(start.elapsed().as_millis() as u64);
        }
        self.seen.joined_ms = clicks::quantile(&joins, 0.5);
        self.say(&format!("joined after {joins:?} ms"));
        for peer in [&mut ada, &mut ben, &mut cleo] {
            peer.wait_room(room, "three members online", |view| {
                view.members.iter().filter(|member| member.online || member.me).count() == 3
            })
            .await?;
        }

        self.call(room, &mut ada, &mut ben, &mut cleo, (scratch.path(), display.name())).await?;
        let cleo = self.away(room, &mut ada, &mut ben, cleo).await?;
        self.crash(room, &mut ada, &mut ben, cleo).await
    }

    async fn call(
        &mut self,
        room: RoomId,
        ada: &mut Peer,
        ben: &mut Peer,
        cleo: &mut Peer,
        (scratch, display): (&std::path::Path, &str),
    ) -> Result<()> {
        self.say("the call begins: a test card at 720p30, speech and a shared screen from Ada");
        let (mic, speaker) = match &self.sound {
            Some(_) => ("pulse:mouth_mic", "pulse:ear"),
            None => ("tone", "null"),
        };
        let camera = PictureKey::Remote { device: ada.device(), stream: StreamKind::Camera };
        let screen = PictureKey::Remote { device: ada.device(), stream: StreamKind::Screen };
        for key in [camera, screen] {
            probe(ben, "probe.watch", key, false).await?;
        }
        ada.request(join(room, mic, true, "test:1280x720@30", "null")).await?;
        ben.request(join(room, "silence", false, "test:640x360@15", speaker)).await?;
        let first = first_frame(ben, ada.device()).await?;
        self.seen.first_frame_ms = Some(first);
        self.say(&format!("Ben sees Ada after {first} ms"));
        cleo.request(join(room, "silence", false, "test:640x360@15", "null")).await?;
        first_frame(cleo, ada.device()).await?;
        first_frame(ada, cleo.device()).await?;
        ada.request(Command::CallScreen { source: Some(format!("x11:{}", display)), content: None, fps: None, height: None })
            .await?;
        ben.wait("Ada's screen", |event| match event {
            Event::CallFirstFrame { stream: StreamKind::Screen, .. } => Some(()),
            _ => None,
        })
        .await?;
        self.say("Ben sees Ada's screen");

        // The figures cover the call as it runs, not its first moments.
        for key in [camera, screen] {
            probe(ben, "probe.read", key, true).await?;
        }
        let pids: Vec<(String, u32)> =
            [&*ada, &*ben, &*cleo].iter().filter_map(|peer| Some((peer.name.clone(), peer.pid()?))).collect();
        let before: Vec<_> = pids.iter().map(|(_, pid)| cpu_time(*pid).unwrap_or_default()).collect();
        let start = Instant::now();
        let ears = self.sound.as_ref().map(|server| anyhow::Ok((server.listen("mouth")?, server.listen("ear")?))).transpose()?;
        let _playing = match &self.sound {
            Some(server) => {
                let (speech, click) = (scratch.join("speech.wav"), scratch.join("clicks.wav"));
                sound::speak("Good morning. This is Ada. Can you hear me, and do you see the screen that I share?", &speech)?;
                clicks::write(&click)?;
                let mut talk = server.play("mouth", &speech)?;
                tokio::task::block_in_place(|| talk.child().wait())?;
                Some(server.play("mouth", &click)?)
            }
            None => None,
        };
        tokio::time::sleep(Duration::from_secs(self.plan.call_seconds).saturating_sub(start.elapsed())).await;

        let wall = start.elapsed().as_secs_f64();
        for ((name, pid), before) in pids.iter().zip(before) {
            let used = cpu_time(*pid).unwrap_or_default().saturating_sub(before).as_secs_f64();
            self.seen.cpu_pct_by_peer.insert(name.clone(), round(100.0 * used / wall));
            if let Some((rss, _)) = rss_kib(*pid) {
                self.seen.rss_mib_by_peer.insert(name.clone(), round(rss as f64 / 1024.0));
            }
        }
        let worst = |values: &BTreeMap<String, f64>| values.values().copied().reduce(f64::max);
        (self.seen.cpu_pct_per_peer, self.seen.rss_mib_per_peer) =
            (worst(&self.seen.cpu_pct_by_peer), worst(&self.seen.rss_mib_by_peer));

        let seen = probe(ben, "probe.read", camera, false).await?;
        self.seen.video_fps = round(seen.fps);
        self.seen.video_frozen_ms = seen.frozen_ms;
        self.seen.video_size = format!("{}x{}", seen.width, seen.height);
        (self.seen.glass_to_glass_ms_p50, self.seen.glass_to_glass_ms_p95) =
            (seen.glass_to_glass_ms_p50, seen.glass_to_glass_ms_p95);
        let shared = probe(ben, "probe.read", screen, false).await?;
        self.seen.screen_fps = round(shared.fps);
        self.seen.screen_glass_to_glass_ms_p50 = shared.glass_to_glass_ms_p50;
        if let Some((mouth, ear)) = ears {
            let (played, heard) = (mouth.finish(), ear.finish());
            // Speech has loud moments too: only what lies in the stretch of the clicks is compared, which is the end of what was played.
            let onsets = |(samples, first): (Vec<f32>, Option<Instant>)| {
                first.map(|first| clicks::onsets(&samples, first)).unwrap_or_default()
            };
            let (played, heard) = (onsets(played), onsets(heard));
            let latencies: Vec<u64> =
                clicks::latencies(&played, &heard).iter().map(|latency| latency.as_millis() as u64).collect();
            self.seen.clicks_heard = latencies.len() as u32;
            self.seen.mouth_to_ear_ms_p50 = clicks::quantile(&latencies, 0.5);
            if latencies.is_empty() {
                self.seen
                    .why
                    .insert("mouth_to_ear_ms_p50".into(), format!("{} clicks played, {} heard", played.len(), heard.len()));
            }
        }
        ben.drain()?;
        self.seen.audio_lost_pct = ben.events.iter().rev().find_map(|(_, event)| match event {
            Event::CallChanged { call: Some(call) } => call
                .people
                .iter()
                .find(|person| person.device == ada.device())
                .map(|person| round(f64::from(person.stats.audio_lost_pct))),
            _ => None,
        });
        self.say(&format!(
            "{} pictures, {:.1} a second, glass to glass {:?} ms",
            seen.pictures, seen.fps, seen.glass_to_glass_ms_p50
        ));
        Ok(())
    }

    /// Cleo goes away, the others talk, and Cleo reads it when back.
    async fn away(&mut self, room: RoomId, ada: &mut Peer, ben: &mut Peer, mut cleo: Peer) -> Result<Peer> {
        self.say("Cleo leaves; Ada and Ben go on chatting");
        cleo.say(room, "I have to go").await?;
        for peer in [&mut *ada, &mut *ben] {
            peer.wait_message(room, "I have to go").await?;
        }
        let code = cleo.stop().await?;
        anyhow::ensure!(code == Some(0), "Cleo ended with {code:?}");
        let missed = ada.say(room, "Cleo missed this").await?;
        ben.wait_message(room, "Cleo missed this").await?;
        ben.request(Command::ChatSend { room, body: "and this".into(), reply_to: Some(missed.id) }).await?;
        ben.request(Command::ChatReact { room, message: missed.id, emoji: "👍".into(), on: true }).await?;
        ada.wait_message(room, "and this").await?;
        let mut cleo = cleo.restart(None).await?;
        cleo.wait_message(room, "and this").await.context("what Cleo missed")?;
        cleo.say(room, "I have read it").await?;
        for peer in [&mut *ada, &mut *ben] {
            peer.wait_message(room, "I have read it").await?;
        }
        let order = |messages: Vec<conclave_node::view::MessageView>| {
            messages.into_iter().map(|message| (message.id, message.body, message.reactions)).collect::<Vec<_>>()
        };
        let (at_ada, at_ben, at_cleo) =
            (order(ada.chat(room).await?), order(ben.chat(room).await?), order(cleo.chat(room).await?));
        self.seen.chat_messages = at_ada.len();
        self.seen.chat_converged = at_ada == at_ben && at_ben == at_cleo && at_ada.len() >= 4;
        self.say(&format!(
            "the chat is {} on all three screens",
            if self.seen.chat_converged { "the same" } else { "NOT the same" }
        ));
        Ok(cleo)
    }

    /// Cleo's process is killed in the call, and comes back.
    async fn crash(&mut self, room: RoomId, ada: &mut Peer, ben: &mut Peer, mut cleo: Peer) -> Result<()> {
        cleo.request(join(room, "silence", false, "test:640x360@15", "null")).await?;
        first_frame(&mut cleo, ada.device()).await?;
        self.say("Cleo's process is killed with -9 in the middle of the call");
        ada.drain()?;
        let start = Instant::now();
        cleo.kill().await?;
        let gone = cleo.device();
        ada.wait("Cleo's loss", |event| match event {
            Event::CallParticipantLeft { device, .. } if *device == gone => Some(()),
            _ => None,
        })
        .await?;
        self.seen.lost_seen_ms = Some(start.elapsed().as_millis() as u64);
        self.say(&format!("Ada saw it after {} ms", start.elapsed().as_millis()));
        let start = Instant::now();
        let mut cleo = cleo.restart(None).await?;
        cleo.request(join(room, "silence", false, "test:640x360@15", "null")).await?;
        first_frame(&mut cleo, ada.device()).await?;
        self.seen.recovered_ms = Some(start.elapsed().as_millis() as u64);
        self.say(&format!("Cleo is back, and sees Ada {} ms after the new start", start.elapsed().as_millis()));
        let messages = cleo.chat(room).await?.len();
        anyhow::ensure!(
            messages == self.seen.chat_messages,
            "Cleo lost messages by the kill: {messages} of {}",
            self.seen.chat_messages
        );
        for peer in [ada, ben, &mut cleo] {
            peer.request(Command::CallLeave {}).await?;
            let code = peer.stop().await?;
            anyhow::ensure!(code == Some(0), "{} ended with {code:?}", peer.name);
        }
        Ok(())
    }
}

fn join(room: RoomId, mic: &str, mic_on: bool, camera: &str, speaker: &str) -> Command {
    Command::CallJoin { room, mic: Some(mic.into()), mic_on, camera: Some(camera.into()), speaker: Some(speaker.into()) }
}

async fn first_frame(peer: &mut Peer, from: DeviceId) -> Result<u64> {
    peer.wait("a first picture", |event| match event {
        Event::CallFirstFrame { device, stream: StreamKind::Camera, after_ms, .. } if *device == from => Some(*after_ms),
        _ => None,
    })
    .await
}

async fn probe(peer: &mut Peer, cmd: &str, key: PictureKey, reset: bool) -> Result<Seen> {
    let value = peer.ask_raw(json!({ "cmd": cmd, "key": key, "reset": reset })).await?;
    let value = value.map_err(|error| anyhow::anyhow!("{}", error.message))?;
    Ok(if value == Value::Object(serde_json::Map::new()) { Seen::default() } else { serde_json::from_value(value)? })
}

fn round(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}
