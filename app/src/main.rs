//! Opens the window, nothing else.

use anyhow::{Context as _, anyhow};
use clap::Parser as _;
use conclave::app::{App, system_clock};
use conclave::args::Args;
use conclave::backend::node::NodeBackend;
use conclave::text::{Language, Text};
use conclave::widget::logo;

fn main() -> anyhow::Result<()> {
    conclave_media::memory::keep_small();
    let args = Args::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn,conclave=info".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let start = args.start()?;
    let options = eframe::NativeOptions {
        viewport: egui::ViewportBuilder::default()
            .with_title("Conclave")
            .with_app_id("conclave")
            .with_inner_size([1280.0, 800.0])
            .with_min_inner_size([900.0, 600.0])
            .with_icon(logo::window_icon(128)),
        renderer: eframe::Renderer::Glow,
        persist_window: false,
        ..Default::default()
    };
    eframe::run_native(
        "Conclave",
        options,
        Box::new(move |creation| {
            let ctx = creation.egui_ctx.clone();
            let backend = NodeBackend::new(&start.config, start.launch.presence, move || ctx.request_repaint())?;
            let text = Text::new(Language::system());
            Ok(Box::new(App::new(&creation.egui_ctx, Box::new(backend), start.launch, text, system_clock)))
        }),
    )
    .map_err(|error| anyhow!("{error}"))
    .context("the window could not be opened")
}
