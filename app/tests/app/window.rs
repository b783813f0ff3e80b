//! The app in a headless window, driven through AccessKit as a person with a screen reader would.

use conclave::app::App;
use conclave::backend::{KeptBy, StorePresence};
use conclave::intent::Intent;
use conclave::state::{AppState, Launch};
use conclave::text::{Language, Text};
use conclave_node::command::Command;
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT, Queryable};

use crate::scripted::{NOW_MS, Script, World, lively};

pub struct Window {
    pub harness: Harness<'static, App>,
    pub script: Script,
}

pub fn launch(presence: StorePresence) -> Launch {
    Launch {
        presence,
        aside: None,
        name: None,
        protection: None,
        link: None,
        recordings: "/recordings".into(),
        local_offset_s: |_| 0,
    }
}

impl Window {
    pub fn open(world: World, presence: StorePresence) -> Self {
        Self::open_with(world, launch(presence))
    }

    pub fn open_with(world: World, launch: Launch) -> Self {
        let script = Script::new(world, launch.presence);
        let backend = script.backend();
        let harness = Harness::builder()
            .with_size([1280.0, 800.0])
            .build_eframe(|creation| App::new(&creation.egui_ctx, backend, launch, Text::new(Language::English), || NOW_MS));
        let mut window = Self { harness, script };
        window.settle();
        window
    }

    /// Rooms and people, in the middle of a working day.
    pub fn lively() -> Self {
        Self::open(lively(), StorePresence::Present(KeptBy::Insecure))
    }

    pub fn settle(&mut self) {
        for _ in 0..3 {
            self.harness.run_ok();
        }
    }

    pub fn state(&self) -> &AppState {
        self.harness.state().state()
    }

    pub fn painted_pictures(&self) -> bool {
        self.harness.state().pictures() > 0
    }

    pub fn click(&mut self, label: &str) {
        self.node(label).click_accesskit();
        self.settle();
    }

    pub fn node<'w>(&'w self, label: &'w str) -> egui_kittest::Node<'w> {
        let mut nodes: Vec<_> = self.harness.query_all_by_label(label).collect();
        assert!(!nodes.is_empty(), "nothing is called {label:?}; there is: {:?}", self.labels());
        // Of a control and the words on it, the control; of two controls, the one on top.
        nodes.sort_by_key(|node| is_control(node));
        nodes.pop().unwrap()
    }

    pub fn has(&self, label: &str) -> bool {
        self.harness.query_all_by_label(label).next().is_some()
    }

    pub fn says(&self, part: &str) -> bool {
        self.labels().iter().any(|label| label.contains(part))
    }

    /// Types into the field of this name.
    pub fn type_into(&mut self, label: &str, text: &str) {
        self.node(label).focus();
        self.settle();
        self.node(label).type_text(text);
        self.settle();
    }

    pub fn press(&mut self, key: egui::Key) {
        self.harness.key_press(key);
        self.settle();
    }

    pub fn want(&mut self, intent: Intent) {
        let ctx = self.harness.ctx.clone();
        self.harness.state_mut().want(&ctx, intent);
        self.settle();
    }

    pub fn commands(&self) -> Vec<Command> {
        self.script.commands()
    }

    /// Every name and every text on screen.
    pub fn labels(&self) -> Vec<String> {
        let nodes = self.harness.root().children_recursive();
        nodes.filter_map(|node| node.accesskit_node().label().or_else(|| node.accesskit_node().value())).collect()
    }
}

pub fn is_control(node: &egui_kittest::Node<'_>) -> bool {
    use egui::accesskit::Role;
    let role = node.accesskit_node().role();
    !matches!(role, Role::Label | Role::Image | Role::Window | Role::GenericContainer | Role::Unknown | Role::Pane)
}
