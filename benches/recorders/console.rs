//! console-subscriber, without its network: its aggregator runs on a thread, and a client asks its service directly.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use console_api::instrument::instrument_client::InstrumentClient;
use console_api::instrument::instrument_server::InstrumentServer;
use console_api::instrument::{InstrumentRequest, StateRequest};
use console_subscriber::{Builder, ConsoleLayer, Server};
use futures_lite::future::block_on;
use tokio::runtime;
use tokio::sync::Mutex;
use tokio::task::{self, yield_now};
use tracing::{Dispatch, dispatcher};
use tracing_subscriber::layer::SubscriberExt;

use crate::{LOCKS, Measure, Told, calls};

/// The program on tokio's lock, by two tasks of a runtime of this thread.
///
/// # Panics
///
/// When the lock was not taken as often as it should be.
pub fn program() {
    let lock = Arc::new(Mutex::new(0_u32));
    let body = |lock: Arc<Mutex<u32>>| async move {
        for _ in 0..LOCKS {
            let mut guard = lock.lock().await;
            yield_now().await;
            *guard += 1;
        }
    };
    runtime::Builder::new_current_thread().build().expect("a runtime").block_on(async {
        let tasks = ["one", "two"].map(|name| task::Builder::new().name(name).spawn(body(lock.clone())));
        for task in tasks {
            task.expect("a task").await.expect("no panic");
        }
        assert_eq!(*lock.lock().await, 2 * LOCKS);
    });
}

/// A console that listens: what is told is put into a channel, which the thread empties when it is half full.
struct Console {
    told: Dispatch,
    client: InstrumentClient<InstrumentServer<Server>>,
    thread: JoinHandle<()>,
}

impl Console {
    fn start(builder: Builder) -> Self {
        let (layer, server) = builder.build();
        let parts = server.into_parts();
        let aggregator = parts.aggregator;
        let thread = thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread().enable_time().build();
            runtime.expect("a runtime").block_on(aggregator.run());
        });
        let client = InstrumentClient::new(parts.instrument_server).max_decoding_message_size(usize::MAX);
        Self { told: Dispatch::new(tracing_subscriber::registry().with(layer)), client, thread }
    }

    /// Waits until the aggregator has all that was told. It answers a question of its state after it emptied the channel.
    fn settle(&mut self) {
        let state = block_on(async {
            let mut states = self.client.watch_state(StateRequest {}).await.expect("it runs").into_inner();
            states.message().await
        });
        assert!(state.expect("it runs").is_some());
    }

    /// The thread ends when nobody can ask it any more.
    fn stop(self) {
        drop(self.client);
        self.thread.join().expect("no panic");
    }
}

/// Room in the channel for all that one run tells. By default there is room for 102 400, and what comes while it is full is lost.
const ROOM: usize = 1 << 20;

/// The recording, while no client watches, and with its defaults.
pub(crate) fn by_default(measure: Measure<'_>) -> Told {
    run(ConsoleLayer::builder(), measure)
}

/// The recording, while no client watches, of everything.
pub(crate) fn of_all(measure: Measure<'_>) -> Told {
    run(ConsoleLayer::builder().event_buffer_capacity(ROOM), measure)
}

fn run(builder: Builder, measure: Measure<'_>) -> Told {
    let mut console = Console::start(builder);
    measure(&mut || {
        dispatcher::with_default(&console.told, program);
        console.settle();
    });
    console.stop();
    Told { events: calls(program), written: 0 }
}

/// What a client was told of one run.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Operations on the lock, and on the semaphore within it.
    pub operations: u64,
    /// Polls of these.
    pub polls: u64,
    /// Of both, those that found the channel full.
    pub dropped: u64,
}

/// Runs the program while a client watches, ten updates a second.
///
/// # Panics
///
/// When the client was not told of both tasks, and of each poll of theirs, nor that each lock was taken; or when a run tells more
/// than there is room for in the channel of the recording of everything.
pub fn watched() -> Seen {
    let mut console = Console::start(ConsoleLayer::builder().publish_interval(Duration::from_millis(100)));
    let updates = block_on(console.client.watch_updates(InstrumentRequest {}));
    let mut updates = updates.expect("it runs").into_inner();
    dispatcher::with_default(&console.told, program);
    console.settle();
    let (mut seen, mut polls) = (Seen::default(), BTreeMap::new());
    // The aggregator has everything now, so the first update without news comes after it was all told.
    loop {
        let update = block_on(updates.message()).expect("it runs").expect("another");
        let operations = update.async_op_update.unwrap_or_default();
        let resources = update.resource_update.unwrap_or_default();
        for (task, stats) in update.task_update.unwrap_or_default().stats_update {
            polls.insert(task, stats.poll_stats.unwrap_or_default().polls);
        }
        let news = (operations.new_async_ops.len() as u64, resources.new_poll_ops.len() as u64);
        let dropped = operations.dropped_events;
        if seen.operations > 0 && news == (0, 0) && dropped == 0 {
            break;
        }
        (seen.operations, seen.polls, seen.dropped) =
            (seen.operations + news.0, seen.polls + news.1, seen.dropped + dropped);
    }
    drop(updates);
    console.stop();
    let busy = polls.values().filter(|&&polls| polls > u64::from(LOCKS)).count();
    assert!(
        busy == 2 && seen.operations + seen.dropped >= 2 * u64::from(LOCKS) && seen.polls > 0,
        "{polls:?} {seen:?}"
    );
    assert!(seen.operations + seen.polls + seen.dropped < ROOM as u64, "{seen:?}");
    seen
}
