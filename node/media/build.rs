//! Compiles what is called of C: the bridge to libvpx, against the version that is installed, and a word to glibc.

fn main() {
    println!("cargo:rerun-if-changed=native");
    let vpx = match pkg_config::Config::new().atleast_version("1.8").probe("vpx") {
        Ok(vpx) => vpx,
        Err(error) => {
            eprintln!("libvpx 1.8 or newer is needed (Debian, Ubuntu: libvpx-dev; Homebrew: libvpx): {error}");
            std::process::exit(1);
        }
    };
    // Every call carries a picture's worth of work in libvpx itself; what is compiled here need not be fast.
    cc::Build::new().file("native/vp9.c").includes(vpx.include_paths).warnings(true).compile("conclave_vp9");
    cc::Build::new().file("native/memory.c").warnings(true).compile("conclave_memory");
}
