//! Says where the board's `memory.x` is.
fn main() {
    println!("cargo:rustc-link-search={}/../../tests/firmware", env!("CARGO_MANIFEST_DIR"));
    println!("cargo:rerun-if-changed=../../tests/firmware/memory.x");
}
