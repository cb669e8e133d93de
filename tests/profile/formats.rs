//! Each format is read by a reader of it.
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use testudo::run::profile::{Cpu, Profile, ProfileExt, Recorder};

use crate::{alone, totals::three_in_line};

fn json(write: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>) -> Value {
    let mut bytes = Vec::new();
    write(&mut bytes).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

/// The rules of the trace event format, for the phases that are used.
#[test]
fn a_chrome_trace_keeps_the_rules_of_trace_events() {
    let _alone = alone();
    let trace = json(|out| three_in_line().write_chrome(out));
    let events = trace["traceEvents"].as_array().unwrap();
    let (mut open, mut arrows, mut slices, mut tracks) = (BTreeMap::new(), BTreeMap::new(), 0, BTreeSet::new());
    for event in events {
        let text = |key: &str| event[key].as_str().unwrap_or_else(|| panic!("{key} of {event}"));
        let number = |key: &str| event[key].as_f64().unwrap_or_else(|| panic!("{key} of {event}"));
        let id = || (text("cat").to_owned(), event["id"].to_string());
        assert!(event["pid"].is_u64() && event["tid"].is_u64() && !text("name").is_empty());
        match text("ph") {
            "M" => drop(tracks.insert(event["args"]["name"].as_str().unwrap().to_owned())),
            "X" => {
                assert!(number("ts") >= 0.0 && number("dur") >= 0.0);
                slices += 1;
            }
            "b" => assert!(open.insert(id(), number("ts")).is_none(), "{event} is open already"),
            "e" => assert!(open.remove(&id()).unwrap() <= number("ts")),
            "s" => assert!(arrows.insert(id(), number("ts")).is_none()),
            "f" => {
                assert_eq!(text("bp"), "e");
                assert!(arrows.remove(&id()).unwrap() <= number("ts"));
            }
            other => panic!("phase {other}"),
        }
    }
    assert!(open.is_empty() && arrows.is_empty());
    assert_eq!(slices, 2 + 3 + 3);
    assert!(tracks.contains("second"));
    let waits = |event: &&Value| event["ph"] == "b" && event["name"] == "Mutex::lock `stock`";
    assert_eq!(events.iter().filter(waits).count(), 2);
    let wakes = events.iter().filter(|event| event["ph"] == "s").count();
    assert_eq!(wakes, 2, "the first wakes the second, that one the third");
}

/// The essentials of its schema: frames by index, each opened is closed, the last first, and time does not go back.
#[test]
fn a_speedscope_file_keeps_the_schema() {
    let _alone = alone();
    let file = json(|out| three_in_line().write_speedscope(out));
    assert_eq!(file["$schema"], "https://www.speedscope.app/file-format-schema.json");
    let frames = file["shared"]["frames"].as_array().unwrap();
    let profiles = file["profiles"].as_array().unwrap();
    assert_eq!(profiles.len(), 3);
    for profile in profiles {
        assert_eq!((&profile["type"], &profile["unit"]), (&"evented".into(), &"nanoseconds".into()));
        let (mut stack, mut last) = (Vec::new(), profile["startValue"].as_u64().unwrap());
        for event in profile["events"].as_array().unwrap() {
            let (frame, at) = (event["frame"].as_u64().unwrap(), event["at"].as_u64().unwrap());
            assert!(at >= last && frames[usize::try_from(frame).unwrap()]["name"].is_string());
            last = at;
            match event["type"].as_str().unwrap() {
                "O" => stack.push(frame),
                _ => assert_eq!(stack.pop(), Some(frame)),
            }
        }
        assert!(stack.is_empty() && profile["endValue"].as_u64().unwrap() == last);
    }
}

fn nested() -> Profile {
    let recording = Recorder::new().start().unwrap();
    let inner = async { (0..1000_u64).map(std::hint::black_box).sum::<u64>() };
    testudo::run::block_on(async { inner.profiled("inner; or not").await }.profiled("outer"));
    recording.stop()
}

#[test]
fn folded_stacks_are_read_by_inferno() {
    let _alone = alone();
    for (profile, cpu, name) in
        [(nested(), Cpu::On, "inner, or not"), (three_in_line(), Cpu::Off, "Mutex::lock `stock`")]
    {
        let mut folded = Vec::new();
        profile.write_folded(cpu, &mut folded).unwrap();
        let folded = String::from_utf8(folded).unwrap();
        let mut svg = Vec::new();
        let mut options = inferno::flamegraph::Options::default();
        inferno::flamegraph::from_lines(&mut options, folded.lines(), &mut svg).unwrap();
        assert!(String::from_utf8(svg).unwrap().contains(name), "{folded}");
    }
}

#[test]
fn time_in_a_task_within_is_not_counted_twice() {
    let _alone = alone();
    let profile = nested();
    let mut folded = Vec::new();
    profile.write_folded(Cpu::On, &mut folded).unwrap();
    let folded = String::from_utf8(folded).unwrap();
    let total: u128 = folded.lines().map(|line| line.rsplit(' ').next().unwrap().parse::<u128>().unwrap()).sum();
    assert_eq!(total, profile.tasks()[0].busy().as_nanos(), "{folded}");
    assert!(folded.contains("outer;inner, or not "));
}

#[test]
fn the_summary_names_resources_and_tasks() {
    let _alone = alone();
    let mut text = Vec::new();
    three_in_line().write_summary(&mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    for part in ["Mutex `stock`", "66 %", "15.0ms", "20.0ms", "third", "0 lost"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

/// Where `PROFILE_DIR` says: for ci/profile.sh, which loads it with Python.
#[test]
fn pstats_are_a_marshalled_dictionary() {
    let _alone = alone();
    let mut stats = Vec::new();
    three_in_line().write_pstats(&mut stats).unwrap();
    assert!(stats.starts_with(b"{(\x03\0\0\0u") && stats.ends_with(b"0"));
    let holds = |text: &[u8]| stats.windows(text.len()).any(|window| window == text);
    assert!(holds(b"<task>") && holds(b"Mutex::lock `stock`") && holds(b"third"));
    if let Some(dir) = std::env::var_os("PROFILE_DIR") {
        std::fs::write(std::path::Path::new(&dir).join("three.pstats"), stats).unwrap();
    }
}
