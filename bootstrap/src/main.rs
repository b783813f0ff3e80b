//! Starts the command line of the bootstrap node, and nothing else.

fn main() -> std::process::ExitCode {
    conclave_bootstrap::main()
}
