//! The headless command. Everything is in `conclave_node::cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    conclave_node::cli::main()
}
