//! `--profile DIR`: the tour under the recorder, and what it recorded in all formats.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::Path,
};

use inferno::flamegraph::{self, Options};
use testudo::run::profile::{Cpu, Profile, Recorder, Recording};

/// Records from now on.
pub fn start() -> Recording {
    Recorder::new().start().expect("nothing else records")
}

type Writer = fn(&Profile, &mut dyn Write) -> io::Result<()>;

/// Each file, how it is written, and what opens it.
const FILES: [(&str, Writer, &str); 9] = [
    ("trace.json", |profile, out| profile.write_chrome(out), "https://ui.perfetto.dev, or chrome://tracing"),
    ("speedscope.json", |profile, out| profile.write_speedscope(out), "https://www.speedscope.app"),
    ("tour.pstats", |profile, out| profile.write_pstats(out), "snakeviz, or python3 -m pstats"),
    ("on-cpu.folded", |profile, out| profile.write_folded(Cpu::On, out), "inferno-flamegraph"),
    ("off-cpu.folded", |profile, out| profile.write_folded(Cpu::Off, out), "inferno-flamegraph"),
    ("on-cpu.svg", |profile, out| flame(profile, Cpu::On, out), "a browser"),
    ("off-cpu.svg", |profile, out| flame(profile, Cpu::Off, out), "a browser"),
    ("summary.txt", |profile, out| profile.write_summary(out), "a terminal"),
    ("graph.txt", |profile, out| profile.write_graph(out), "a terminal: who waits for whom at the end"),
];

/// Writes all formats and says how to open each.
pub fn write(profile: Profile, dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    profile.write_summary(io::stdout())?;
    for (name, write, opens) in FILES {
        let path = dir.join(name);
        let mut out = BufWriter::new(File::create(&path)?);
        write(&profile, &mut out)?;
        out.flush()?;
        println!("{}: open with {opens}", path.display());
    }
    Ok(())
}

fn flame(profile: &Profile, cpu: Cpu, out: &mut dyn Write) -> io::Result<()> {
    let mut folded = Vec::new();
    profile.write_folded(cpu, &mut folded)?;
    let mut options = Options::default();
    options.title = format!("{cpu:?}-CPU time");
    options.count_name = "ns".into();
    let lines = folded.split(|&byte| byte == b'\n').map(|line| std::str::from_utf8(line).unwrap_or_default());
    flamegraph::from_lines(&mut options, lines, out).map_err(io::Error::other)
}
