//! A developer's tool: shows every screen with scripted data, or writes a PNG of each with `--shots DIR`.
//!
//! `cargo run -p conclave --example gallery -- [--shots DIR] [--only NAME]`

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(dead_code, unreachable_pub)]

#[path = "../tests/app/scripted.rs"]
mod scripted;

use std::path::PathBuf;

use conclave::app::App;
use conclave::backend::{KeptBy, StorePresence};
use conclave::canvas::tool::Tool;
use conclave::intent::board::BoardIntent;
use conclave::intent::{Confirm, Intent, JoinKey, Panel, ProtectionChoice, SettingsPage, TileKey};
use conclave::state::Launch;
use conclave::state::settings::{CallLayout, Settings, ThemeChoice};
use conclave::text::{Language, Text};
use conclave_node::event::Event;
use conclave_node::view::*;
use conclave_protocol::id::{DeviceId, RoomId};
use scripted::{NOW_MS, Script, World, lively, page, portrait};

const DESIGN: RoomId = RoomId([10; 32]);
const CHOIR: RoomId = RoomId([12; 32]);

type Scene = (&'static str, fn() -> (Script, Vec<Intent>));

fn home(intents: Vec<Intent>) -> (Script, Vec<Intent>) {
    (Script::new(lively(), StorePresence::Present(KeptBy::Insecure)), intents)
}

fn in_call(people: usize, sharing: bool, intents: Vec<Intent>) -> (Script, Vec<Intent>) {
    let mut world = lively();
    let devices: Vec<DeviceId> = (2..2 + people as u8).map(|n| DeviceId([n; 32])).collect();
    let mut call = CallView {
        room: DESIGN,
        call: conclave_protocol::id::CallId([5; 16]),
        since_ms: NOW_MS - 754_000,
        me: MyMediaView {
            mic_on: false,
            camera: Some("v4l2:/dev/video0".into()),
            mic: Some("pulse".into()),
            ..Default::default()
        },
        people: devices.iter().map(|device| world.participant(DESIGN, *device)).collect(),
        speaker: None,
        hands: Vec::new(),
    };
    for (index, person) in call.people.iter_mut().enumerate() {
        match index {
            0 => person.speaking = true,
            1 => person.mic_on = false,
            2 => person.camera_on = false,
            3 => person.link = LinkState::Reconnecting,
            _ => {}
        }
    }
    if sharing {
        call.people[1].screen_on = true;
    }
    world.state.call = Some(call);
    let script = Script::new(world, StorePresence::Present(KeptBy::Insecure));
    for (index, device) in devices.iter().enumerate() {
        let picture = portrait(640, 360, 0.55 + index as f32 * 0.13);
        script.slot(PictureKey::Remote { device: *device, stream: StreamKind::Camera }).put(picture);
    }
    script.slot(PictureKey::Remote { device: devices[1.min(people - 1)], stream: StreamKind::Screen }).put(page(1280, 720));
    script.slot(PictureKey::Own { stream: StreamKind::Camera }).put(portrait(640, 360, 0.08));
    script.slot(PictureKey::Preview).put(portrait(640, 360, 0.08));
    let mut all = vec![Intent::ShowCall];
    all.extend(intents);
    (script, all)
}

fn welcome(world: World, intents: Vec<Intent>) -> (Script, Vec<Intent>) {
    (Script::new(world, StorePresence::Absent), intents)
}

fn joining(join: JoinView) -> (Script, Vec<Intent>) {
    let mut world = lively();
    world.state.joins.push(join);
    (Script::new(world, StorePresence::Present(KeptBy::Insecure)), vec![Intent::SelectJoin(JoinKey::Room(RoomId([77; 32])))])
}

/// The board of the room with something on it, and two others there.
fn board((script, mut intents): (Script, Vec<Intent>), wishes: Vec<BoardIntent>) -> (Script, Vec<Intent>) {
    script.world(|world| world.boards.draw_sample(DESIGN));
    let live = |cursor, selection| BoardLiveView {
        page: conclave_crdt::PageId::FIRST,
        cursor: Some(cursor),
        laser: false,
        selection,
        viewport: None,
        ink: None,
    };
    intents.push(Intent::ToggleBoard);
    intents.extend(wishes.into_iter().map(Intent::Board));
    let other = script.clone();
    other.later(Event::BoardLive { room: DESIGN, device: DeviceId([3; 32]), live: live((690.0, 300.0), vec![]) });
    other.later(Event::BoardLive {
        room: DESIGN,
        device: DeviceId([4; 32]),
        live: live((330.0, 190.0), vec![scripted::board::id(5)]),
    });
    (script, intents)
}

fn scenes() -> Vec<Scene> {
    vec![
        ("welcome", || welcome(World::empty(""), vec![Intent::WelcomeName("Mira Okafor".into())])),
        ("welcome-passphrase", || {
            welcome(
                World::empty(""),
                vec![
                    Intent::WelcomeName("Mira Okafor".into()),
                    Intent::WelcomeProtection(ProtectionChoice::Passphrase),
                    Intent::WelcomePassphrase("correct horse".into()),
                    Intent::WelcomePassphraseAgain("correct".into()),
                ],
            )
        }),
        ("unlock", || (Script::new(World::empty(""), StorePresence::Present(KeptBy::Passphrase)), vec![])),
        ("in-use", || {
            let mut world = World::empty("");
            let error = conclave_node::error::CommandError::new(conclave_node::error::ErrorCode::StoreInUse, "in use");
            world.opening = vec![error; 8];
            (Script::new(world, StorePresence::Present(KeptBy::Keyring)), vec![])
        }),
        ("first", || (Script::new(World::empty("Mira Okafor"), StorePresence::Present(KeptBy::Insecure)), vec![])),
        ("room", || home(vec![])),
        ("room-people", || home(vec![Intent::SelectRoom(CHOIR), Intent::OpenPanel(Some(Panel::People))])),
        ("room-invite", || home(vec![Intent::OpenPanel(Some(Panel::Invite)), Intent::MakeInvite(DESIGN)])),
        ("room-search", || home(vec![Intent::ToggleSearch(DESIGN), Intent::Search(DESIGN, "the".into())])),
        ("room-reply", || {
            home(vec![
                Intent::Reply(DESIGN, conclave_protocol::id::OpHash([110; 32])),
                Intent::Draft(DESIGN, "On my way, give me two minutes".into()),
            ])
        }),
        ("new-room", || home(vec![Intent::ShowNewRoom, Intent::NewRoomName("Sprint planning".into())])),
        ("join", || home(vec![Intent::ShowJoin, Intent::JoinLink("hello".into()), Intent::Join])),
        ("searching", || {
            let tried = lively().diagnosis;
            joining(JoinView::Searching { room: RoomId([77; 32]), tried })
        }),
        ("waiting", || joining(JoinView::Waiting { room: RoomId([77; 32]), code: "73014488".into() })),
        ("failed", || {
            let error = ErrorView { code: "link_expired".into(), message: String::new() };
            joining(JoinView::Failed { room: RoomId([77; 32]), error })
        }),
        ("lobby", || {
            let (script, _) = in_call(3, false, vec![]);
            script.world(|world| world.state.call = None);
            (script, vec![Intent::OpenLobby(DESIGN)])
        }),
        ("lobby-off", || {
            let (script, _) = in_call(3, false, vec![]);
            script.world(|world| world.state.call = None);
            (script, vec![Intent::OpenLobby(DESIGN), Intent::LobbyCamera(false), Intent::LobbyMic(true)])
        }),
        ("call", || in_call(3, false, vec![])),
        ("call-eight", || in_call(7, false, vec![])),
        ("call-alone", || {
            let (script, intents) = in_call(1, false, vec![]);
            script.world(|world| world.state.call.as_mut().unwrap().people.clear());
            (script, intents)
        }),
        ("call-chat", || in_call(4, false, vec![Intent::OpenPanel(Some(Panel::Chat))])),
        ("call-spotlight", || {
            in_call(5, false, vec![Intent::SetLayout(CallLayout::Spotlight), Intent::OpenPanel(Some(Panel::People))])
        }),
        ("call-share", || in_call(4, true, vec![Intent::ToggleMic])),
        ("call-trouble", || {
            let (script, intents) =
                in_call(4, false, vec![Intent::Pin(TileKey { device: Some(DeviceId([2; 32])), stream: StreamKind::Camera })]);
            script.world(|world| {
                let call = world.state.call.as_mut().unwrap();
                call.people[1].link = LinkState::Mismatch;
                call.people[0].recording = true;
                call.me.deafened = true;
                call.me.recording = Some("x".into());
            });
            script.event(Event::CallParticipantLeft {
                room: DESIGN,
                device: DeviceId([6; 32]),
                reason: conclave_node::event::LeaveReason::Lost,
            });
            (script, intents)
        }),
        ("share", || in_call(3, false, vec![Intent::ShowShare])),
        ("board", || board(home(vec![]), vec![])),
        ("board-selected", || {
            let wish = BoardIntent::Select(scripted::board::id(15));
            board(home(vec![]), vec![wish])
        }),
        ("board-many", || board(home(vec![]), vec![BoardIntent::ToggleGrid, BoardIntent::SelectAll])),
        ("board-call", || board(in_call(4, false, vec![]), vec![BoardIntent::Tool(Tool::Pen)])),
        ("board-empty", || {
            let (script, mut intents) = home(vec![]);
            intents.push(Intent::ToggleBoard);
            (script, intents)
        }),
        ("board-viewer", || {
            let (script, intents) = board(home(vec![]), vec![]);
            script.world(|world| world.boards.viewer = true);
            (script, intents)
        }),
        ("minimised", || in_call(3, false, vec![Intent::ShowRooms])),
        ("settings", || home(vec![Intent::ShowSettings(SettingsPage::Appearance)])),
        ("settings-profile", || home(vec![Intent::ShowSettings(SettingsPage::Profile)])),
        ("settings-devices", || home(vec![Intent::ShowSettings(SettingsPage::Devices)])),
        ("settings-network", || home(vec![Intent::ShowSettings(SettingsPage::Network)])),
        ("keys", || in_call(3, false, vec![Intent::ShowShortcuts])),
        ("person", || home(vec![Intent::ShowPerson { room: DESIGN, device: DeviceId([3; 32]) }])),
        ("confirm", || {
            home(vec![Intent::Ask(Confirm::Revoke { room: DESIGN, device: DeviceId([3; 32]), name: "Ada Lindqvist".into() })])
        }),
        ("toasts", || {
            let (script, intents) = home(vec![Intent::CopyText("x".into())]);
            let knock = lively().state.rooms[2].knocks[0].clone();
            script.event(Event::KnockReceived { room: CHOIR, knock });
            let message = "the camera /dev/video0 is in use by another program".into();
            script.event(Event::Problem { error: ErrorView { code: "device_failed".into(), message } });
            (script, intents)
        }),
    ]
}

struct Gallery {
    ctx: egui::Context,
    jobs: Vec<(String, fn() -> (Script, Vec<Intent>), ThemeChoice, [f32; 2], Language)>,
    at: usize,
    frame: usize,
    app: App,
    script: Script,
    shots: Option<PathBuf>,
}

fn start(ctx: &egui::Context, make: fn() -> (Script, Vec<Intent>), theme: ThemeChoice, language: Language) -> (App, Script) {
    ctx.memory_mut(|memory| *memory = egui::Memory::default());
    let fallback = if theme == ThemeChoice::Light { egui::Theme::Light } else { egui::Theme::Dark };
    ctx.options_mut(|options| options.fallback_theme = fallback);
    let (script, intents) = make();
    let presence = script.backend().presence();
    let launch = Launch {
        presence,
        aside: None,
        name: None,
        protection: None,
        link: None,
        recordings: "/home/mira/Videos/Conclave".into(),
        local_offset_s: |_| 0,
    };
    let settings = Settings { theme, language: Some(language), ..Default::default() };
    script.world(|world| world.setting = Some(settings.encode()));
    let mut app = App::new(ctx, script.backend(), launch, Text::new(language), || NOW_MS);
    ctx.set_theme(if theme == ThemeChoice::Light { egui::Theme::Light } else { egui::Theme::Dark });
    for _ in 0..3 {
        app.take_in(ctx);
    }
    for intent in intents {
        app.want(ctx, intent);
        app.take_in(ctx);
        app.take_in(ctx);
    }
    script.now();
    app.take_in(ctx);
    (app, script)
}

impl eframe::App for Gallery {
    fn logic(&mut self, ctx: &egui::Context, _frame: &mut eframe::Frame) {
        self.app.take_in(ctx);
        let Some(dir) = self.shots.clone() else { return };
        let screenshot = ctx.input(|input| {
            input
                .events
                .iter()
                .find_map(|event| if let egui::Event::Screenshot { image, .. } = event { Some(image.clone()) } else { None })
        });
        let (name, _, theme, size, language) = self.jobs[self.at].clone();
        if let Some(image) = screenshot {
            let theme = if theme == ThemeChoice::Light { "light" } else { "dark" };
            let suffix = if language == Language::English { "" } else { "-de" };
            let file = dir.join(format!("{name}-{theme}-{}x{}{suffix}.png", size[0], size[1]));
            let [width, height] = image.size;
            image::save_buffer(&file, image.as_raw(), width as u32, height as u32, image::ColorType::Rgba8).unwrap();
            println!("{}", file.display());
            self.at += 1;
            self.frame = 0;
            let Some((_, make, theme, size, language)) = self.jobs.get(self.at).cloned() else { std::process::exit(0) };
            (self.app, self.script) = start(&self.ctx, make, theme, language);
            ctx.send_viewport_cmd(egui::ViewportCommand::InnerSize(size.into()));
        }
        self.frame += 1;
        if self.frame == 14 {
            ctx.send_viewport_cmd(egui::ViewportCommand::Screenshot(egui::UserData::default()));
        }
        ctx.request_repaint();
    }

    fn ui(&mut self, ui: &mut egui::Ui, _frame: &mut eframe::Frame) {
        self.app.draw(ui);
    }
}

fn main() -> eframe::Result {
    let args: Vec<String> = std::env::args().collect();
    let value = |name: &str| args.iter().position(|arg| arg == name).and_then(|at| args.get(at + 1)).cloned();
    let shots = value("--shots").map(PathBuf::from);
    let only = value("--only");
    let mut jobs = Vec::new();
    let themes: &[ThemeChoice] =
        if args.iter().any(|arg| arg == "--dark") { &[ThemeChoice::Dark] } else { &[ThemeChoice::Dark, ThemeChoice::Light] };
    let sizes: &[[f32; 2]] = if args.iter().any(|arg| arg == "--small") { &[[900.0, 600.0]] } else { &[[1280.0, 800.0]] };
    let language = if args.iter().any(|arg| arg == "--german") { Language::German } else { Language::English };
    for size in sizes {
        for theme in themes {
            for (name, make) in scenes() {
                if only.as_deref().is_none_or(|only| only.split(',').any(|only| only == name)) {
                    jobs.push((name.to_owned(), make, *theme, *size, language));
                }
            }
        }
    }
    let size = jobs[0].3;
    let options = eframe::NativeOptions {
        viewport: egui::ViewportBuilder::default().with_inner_size(size).with_decorations(false).with_position([0.0, 0.0]),
        renderer: eframe::Renderer::Glow,
        ..Default::default()
    };
    eframe::run_native(
        "Gallery",
        options,
        Box::new(move |creation| {
            let ctx = creation.egui_ctx.clone();
            let (app, script) = start(&ctx, jobs[0].1, jobs[0].2, jobs[0].4);
            Ok(Box::new(Gallery { ctx, jobs, at: 0, frame: 0, app, script, shots }))
        }),
    )
}
