#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| conclave_bootstrap::fuzz::run("admin_json", data));
