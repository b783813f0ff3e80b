//! The shell of the window: it carries messages into the state, draws the views, and carries out the effects. It decides nothing.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use egui::{Context, Ui, ViewportCommand};

use crate::backend::Backend;
use crate::canvas::paint::Painted;
use crate::chooser::{self, Chooser};
use crate::first_frame::FirstFrame;
use crate::intent::{FileIntent, Intent};
use crate::keys::{self, KeyInput};
use crate::preview::Previews;
use crate::screen::board::{BoardScreen, canvas_id};
use crate::screen::call::{CallScreen, call_ui, window_title};
use crate::screen::dialogs::{DialogView, dialog_ui};
use crate::screen::lobby::{LobbyView, lobby_ui};
use crate::screen::rooms::{RoomsView, rooms_ui};
use crate::screen::welcome::{WelcomeView, welcome_ui};
use crate::state::dialog::Dialog;
use crate::state::files::pasted_paths;
use crate::state::{AppState, Effect, Launch, Place};
use crate::text::Text;
use crate::texture::Textures;
use crate::theme;
use crate::widget::Draw;
use crate::widget::toast::toasts_ui;

/// UTC milliseconds: the one clock of the window.
pub type Clock = fn() -> u64;

/// The system's clock.
pub fn system_clock() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// The app in its window.
pub struct App {
    state: AppState,
    backend: Box<dyn Backend>,
    textures: Textures,
    previews: Previews,
    chooser: Chooser,
    painted: Painted,
    clock: Clock,
    title: String,
    first_frame: FirstFrame,
}

impl App {
    /// `ctx` gets the look of the app; the backend is expected to wake it.
    pub fn new(ctx: &Context, backend: Box<dyn Backend>, launch: Launch, text: Text, clock: Clock) -> Self {
        theme::install(ctx);
        let mut app = Self {
            state: AppState::new(launch, text, clock()),
            backend,
            textures: Textures::default(),
            previews: Previews::default(),
            chooser: Chooser::default(),
            painted: Painted::default(),
            clock,
            title: String::new(),
            first_frame: FirstFrame::from_env(),
        };
        app.state.boards.seed(RandomState::new().build_hasher().finish());
        let effects = app.state.start();
        app.carry_out(ctx, effects);
        app
    }

    pub fn state(&self) -> &AppState {
        &self.state
    }

    /// How many pictures of boards are on the graphics card.
    pub fn pictures(&self) -> usize {
        self.painted.pictures.drawn()
    }

    /// Takes in what came from the node; called once a frame, before drawing.
    pub fn take_in(&mut self, ctx: &Context) {
        self.state.now_ms = (self.clock)();
        for message in self.backend.poll() {
            let effects = self.state.apply(message);
            self.carry_out(ctx, effects);
        }
        for intent in self.chooser.chosen() {
            self.want(ctx, intent);
        }
        let effects = self.state.board_tick();
        self.carry_out(ctx, effects);
        let now_ms = self.state.now_ms;
        self.state.toasts.expire(now_ms);
        theme::apply(ctx, &self.state.settings);
    }

    /// Draws a frame and hands on what the person wants.
    pub fn draw(&mut self, ui: &mut Ui) {
        let ctx = ui.ctx().clone();
        let mut intents = self.keys(&ctx);
        if matches!(self.state.dialog, Some(Dialog::Person { .. })) {
            let dropped = ctx.input(|input| input.raw.dropped_files.first().and_then(|file| file.path.clone()));
            intents.extend(dropped.map(|path| Intent::Scanned(crate::scan::code_in_file(&path))));
        } else if self.state.dialog.is_none() {
            intents.extend(dropped(&ctx));
        }
        let mut draw = Draw {
            text: &self.state.text,
            textures: &mut self.textures,
            previews: &mut self.previews,
            painted: &mut self.painted,
            backend: self.backend.as_ref(),
            intents: &mut intents,
            settings: &self.state.settings,
        };
        if let Some(view) = WelcomeView::new(&self.state) {
            welcome_ui(ui, &view, &mut draw);
        } else if let Some(view) = CallScreen::new(&self.state) {
            call_ui(ui, &view, BoardScreen::new(&self.state).as_ref(), &mut draw);
        } else if let Some(view) = LobbyView::new(&self.state) {
            lobby_ui(ui, &view, &mut draw);
        } else {
            rooms_ui(ui, &RoomsView::from(&self.state), BoardScreen::new(&self.state).as_ref(), &mut draw);
        }
        if let Some(view) = DialogView::new(&self.state) {
            dialog_ui(&ctx, &view, &mut draw);
        }
        let lift = if matches!(self.state.place, Place::Call) { 88.0 } else { 84.0 };
        toasts_ui(&ctx, self.state.toasts.shown(), lift, &mut draw);
        self.textures.end_frame();
        self.state.frame_drawn();
        for intent in intents {
            self.want(&ctx, intent);
            // What a wish changes is to be seen at once, not at the next event.
            ctx.request_repaint();
        }
        let title = window_title(&self.state);
        if title != self.title {
            self.title = title;
            ctx.send_viewport_cmd(ViewportCommand::Title(self.title.clone()));
        }
        if let Some(at) = self.state.next_change_ms() {
            ctx.request_repaint_after(Duration::from_millis(at.saturating_sub(self.state.now_ms).max(1)));
        }
    }

    /// Does what a widget would have asked for.
    pub fn want(&mut self, ctx: &Context, intent: Intent) {
        let effects = self.state.handle(intent);
        self.carry_out(ctx, effects);
    }

    fn keys(&self, ctx: &Context) -> Vec<Intent> {
        let typing = ctx.text_edit_focused();
        let focused = ctx.memory(|memory| memory.focused());
        let (control_focused, canvas_focused) = (focused.is_some(), focused == Some(canvas_id()));
        ctx.input(|input| {
            let input =
                KeyInput { events: &input.events, typing, control_focused, canvas_focused, window_focused: input.focused };
            keys::intents(&self.state, input)
        })
    }

    fn carry_out(&mut self, ctx: &Context, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Send(command, pending) => {
                    let request = self.backend.send(command);
                    self.state.sent(request, pending);
                }
                Effect::Open(request) => self.backend.open(request),
                Effect::Copy(text) => ctx.copy_text(text),
                Effect::Choose(choice) => self.chooser.ask(ctx, choice),
                Effect::OpenPath(path) => chooser::open(path),
                Effect::FullScreen(on) => ctx.send_viewport_cmd(ViewportCommand::Fullscreen(on)),
                Effect::Notify { title, body } => {
                    if !ctx.input(|input| input.focused) {
                        notify(title, body);
                    }
                }
                Effect::Attention => {
                    if !ctx.input(|input| input.focused) {
                        let kind = egui::UserAttentionType::Informational;
                        ctx.send_viewport_cmd(ViewportCommand::RequestUserAttention(kind));
                    }
                }
            }
        }
    }
}

/// Files that were dropped on the window, or pasted where nobody types.
fn dropped(ctx: &Context) -> Option<Intent> {
    let typing = ctx.text_edit_focused();
    let paths = ctx.input(|input| {
        let mut paths: Vec<_> = input.raw.dropped_files.iter().filter_map(|file| file.path.clone()).collect();
        for event in &input.events {
            if let egui::Event::Paste(text) = event
                && !typing
            {
                paths.extend(pasted_paths(text));
            }
        }
        paths
    });
    (!paths.is_empty()).then_some(Intent::File(FileIntent::ShareHere(paths)))
}

/// On a thread of its own: a desktop without a notification service may take long to say so.
fn notify(title: String, body: String) {
    let show = move || {
        if let Err(error) = notify_rust::Notification::new().appname("Conclave").summary(&title).body(&body).show() {
            tracing::debug!(%error, "the desktop shows no notices");
        }
    };
    if std::thread::Builder::new().name("notify".to_owned()).spawn(show).is_err() {
        tracing::debug!("no thread for a notice");
    }
}

impl eframe::App for App {
    fn logic(&mut self, ctx: &Context, _frame: &mut eframe::Frame) {
        self.first_frame.tick(ctx);
        self.take_in(ctx);
    }

    fn ui(&mut self, ui: &mut Ui, _frame: &mut eframe::Frame) {
        self.draw(ui);
    }

    fn on_exit(&mut self, _gl: Option<&eframe::glow::Context>) {
        self.backend.close();
    }
}
