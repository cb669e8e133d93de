//! Writes what Node needs to load the module: `testudo-wasm-glue MODULE.wasm FOLDER`.
fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let (Some(module), Some(folder)) = (args.next(), args.next()) else { anyhow::bail!("usage: MODULE.wasm FOLDER") };
    wasm_bindgen_cli_support::Bindgen::new().input_path(module).nodejs(true)?.typescript(false).generate(folder)
}
