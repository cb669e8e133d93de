//! Asynchronous context managers: asyncio's behaviours by their ids in the inventory (ACM-..), with guards, which `guard.rs` tests.
use core::{cell::Cell, future::pending, pin::pin};
use std::sync::Mutex;

use testudo::{
    Event,
    flow::{AsyncGen, Exit, ExitStack, generator, next},
    run::block_on,
    task::{Shelter, TaskGroup},
};

use crate::support::Probe;

/// What happened, in order.
#[derive(Default)]
struct Log(Mutex<Vec<String>>);

impl Log {
    fn say(&self, line: impl Into<String>) {
        self.0.lock().unwrap().push(line.into());
    }

    /// Enters: refuses names in capitals.
    async fn enter(&self, name: &'static str) -> Result<&'static str, &'static str> {
        self.say(format!("enter {name}"));
        if name.chars().all(char::is_lowercase) { Ok(name) } else { Err(name) }
    }

    /// Exits, not at once.
    async fn exit(&self, name: &'static str, exit: Exit, may: &Event) {
        may.wait().await;
        self.say(format!("exit {name} {exit:?}"));
    }

    fn lines(&self) -> Vec<String> {
        core::mem::take(&mut self.0.lock().unwrap())
    }
}

fn opened() -> Event {
    let event = Event::new();
    event.set();
    event
}

/// ACM-01. Same: what was entered is the guard's data; `close` waits for the exit.
#[test]
fn acm_01_enter_then_body_then_exit() {
    let (log, may, shelter) = (Log::default(), Event::new(), Shelter::new());
    let (log, may) = (&log, &may);
    let probe = Probe::new();
    let mut scope = probe.start(async {
        let entered = shelter.guard(log.enter("a").await.unwrap(), |name, exit| log.exit(name, exit, may));
        log.say(format!("body {}", *entered));
        entered.close().await;
        log.say("after");
    });
    assert_eq!(log.lines(), ["enter a", "body a"]);
    may.set();
    probe.ready(&mut scope);
    assert_eq!(log.lines(), ["exit a Closed", "after"]);
}

/// ACM-02. Differs: the exit is told that the scope was left, not why: the error is the scope's result.
#[test]
fn acm_02_a_scope_that_is_left_with_an_error_is_exited() {
    let (log, may, shelter) = (Log::default(), opened(), Shelter::new());
    let (log, may) = (&log, &may);
    let body = async {
        let entered = shelter.guard(log.enter("a").await?, |name, exit| log.exit(name, exit, may));
        log.enter("FAILS").await?;
        entered.close().await;
        Ok(())
    };
    let result: Result<(), &str> = block_on(shelter.run(body));
    assert_eq!(result, Err("FAILS"));
    assert_eq!(log.lines(), ["enter a", "enter FAILS", "exit a Cancelled"]);
}

/// ACM-03, ACM-04, ACM-05. Differs: the result is a value beside the exit: what `after` makes of it once that is over.
#[test]
fn acm_03_the_scope_suppresses_passes_on_or_replaces_the_error_behind_the_exit() {
    type Failed = Result<u8, Box<u8>>;
    let passes: [fn(Failed) -> Failed; 3] = [|_| Ok(1), |error| error, |error| error.map_err(|n| Box::new(*n + 1))];
    for (after, expected) in passes.into_iter().zip([Ok(1), Err(7), Err(8)]) {
        let (log, may, shelter) = (Log::default(), opened(), Shelter::new());
        let (log, may) = (&log, &may);
        let error = Box::new(7);
        let address = &raw const *error;
        let result = block_on(async {
            let entered = shelter.guard(log.enter("a").await.unwrap(), |name, exit| log.exit(name, exit, may));
            let body: Failed = async { Err(error) }.await;
            entered.close().await;
            log.say("after");
            after(body)
        });
        assert_eq!(log.lines(), ["enter a", "exit a Closed", "after"]);
        let same = matches!(&result, Err(n) if core::ptr::eq(&raw const **n, address));
        assert_eq!((result.map_err(|n| *n), same), (expected, expected == Err(7)), "the same object, or none");
    }
}

/// ACM-10. Same: `?` comes before the push.
#[test]
fn acm_10_what_was_not_entered_is_not_exited() {
    let (log, may, shelter) = (Log::default(), opened(), Shelter::new());
    let (log, may) = (&log, &may);
    let body = async {
        let mut stack = ExitStack::new(&shelter);
        for name in ["a", "b", "FAILS", "c"] {
            let entered = log.enter(name).await?;
            stack.push(move |exit| log.exit(entered, exit, may));
        }
        stack.close().await;
        Ok(())
    };
    assert_eq!(block_on(shelter.run(body)), Err("FAILS"));
    assert_eq!(log.lines(), ["enter a", "enter b", "enter FAILS", "exit b Cancelled", "exit a Cancelled"]);
}

/// ACM-13. Same when it is closed, in its shelter when it is dropped.
#[test]
fn acm_13_inside_a_generator_it_is_exited_when_that_is_closed_or_dropped() {
    for closes in [true, false] {
        let (log, may, shelter) = (Log::default(), opened(), Shelter::new());
        let (log, may) = (&log, &may);
        block_on(async {
            let mut numbers = pin!(generator(async |mut y| {
                let entered = shelter.guard(log.enter("a").await.unwrap(), |name, exit| log.exit(name, exit, may));
                let output = y.emit(1).await;
                entered.close().await;
                output
            }));
            assert_eq!(next(&mut numbers).await, Some(1));
            if closes {
                numbers.aclose().await;
                assert_eq!(log.lines(), ["enter a", "exit a Closed"]);
            }
        });
        block_on(shelter.drain());
        assert_eq!(log.lines(), if closes { vec![] } else { vec!["enter a", "exit a Cancelled"] });
    }
}

/// TG-28. Differs: a failing child drops the block; what it has entered is exited in the shelter, behind the group's error.
#[test]
fn a_block_that_its_group_drops_is_exited_in_the_shelter() {
    let (log, may, shelter) = (Log::default(), opened(), Shelter::new());
    let (log, may) = (&log, &may);
    let begun = Cell::new(false);
    let result = block_on(shelter.run(async {
        let group = TaskGroup::new();
        let result = group
            .run(async {
                let _entered = shelter.guard(log.enter("a").await.unwrap(), |name, exit| log.exit(name, exit, may));
                drop(group.spawn(async { Err::<(), _>("failed") }));
                begun.set(true);
                pending::<Result<(), _>>().await
            })
            .await;
        log.say("group");
        result.map_err(|error| error.iter().copied().collect::<Vec<_>>())
    }));
    assert_eq!((result, begun.get()), (Err(vec!["failed"]), true));
    assert_eq!(log.lines(), ["enter a", "group", "exit a Cancelled"]);
}
