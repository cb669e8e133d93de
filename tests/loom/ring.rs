//! The ring of a probe: two writers, and a reader beside them.
use loom::{sync::Arc, thread};
use testudo::probe::{Event, Probe, Ring};

fn event(n: u64) -> Event {
    Event::Clock { now: core::time::Duration::from_nanos(n) }
}

fn nanos(event: &Event) -> u128 {
    match event {
        Event::Clock { now } => now.as_nanos(),
        other => panic!("{other:?} was never written"),
    }
}

/// E1, E2: what is read was written as a whole, and every event is read or counted as lost, once.
#[test]
fn e1_e2_each_event_is_dumped_or_counted() {
    loom::model(|| {
        let ring = Arc::new(Ring::<1>::new());
        let writer = |n| {
            let ring = Arc::clone(&ring);
            thread::spawn(move || ring.event(&event(n)))
        };
        let writers = [writer(1), writer(2)];
        let (mut seen, mut lost) = (Vec::new(), 0);
        lost += ring.dump(|event| seen.push(nanos(event)));
        for writer in writers {
            writer.join().unwrap();
        }
        lost += ring.dump(|event| seen.push(nanos(event)));
        assert_eq!(seen.len() + lost, 2);
        assert!(seen.iter().all(|n| [1, 2].contains(n)) && (seen.len() < 2 || seen[0] != seen[1]));
    });
}

/// With room for all, nothing is lost.
#[test]
fn a_ring_with_room_loses_nothing_of_two_writers() {
    loom::model(|| {
        let ring = Arc::new(Ring::<2>::new());
        let other = Arc::clone(&ring);
        let writer = thread::spawn(move || other.event(&event(1)));
        ring.event(&event(2));
        writer.join().unwrap();
        let mut sum = 0;
        assert_eq!(ring.dump(|event| sum += nanos(event)), 0);
        assert_eq!(sum, 3);
    });
}
