//! The scenarios. Nothing in them repeats a wait that got lost: if a wake-up is lost, they hang.

use std::{
    any::Any,
    future::Future,
    panic::{AssertUnwindSafe, resume_unwind},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use futures_lite::future::{FutureExt, or, poll_once, yield_now};
use testudo::{Condition, Event, Mutex, Queue};

use crate::executors::Task;

/// What to run, and what is to be so afterwards.
pub struct Scenario {
    pub tasks: Tasks,
    pub check: Box<dyn FnOnce()>,
}

impl Scenario {
    pub fn new(check: impl FnOnce() + 'static) -> Self {
        Self { tasks: Tasks::new(vec![]), check: Box::new(check) }
    }

    pub fn task(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.first.push(Box::pin(task));
    }
}

/// Tasks, and those that they spawn.
pub struct Tasks {
    first: Vec<Task>,
    house: Arc<House>,
    /// A seed for executors that have a use for one.
    #[allow(dead_code, reason = "tests/wasm has none that do")]
    pub round: u64,
    /// Threads that are no tasks wake them too.
    #[allow(dead_code, reason = "tests/wasm has no threads")]
    pub outside: bool,
}

/// What all tasks have in common.
pub struct House {
    arrivals: Queue<Task>,
    /// Tasks that have not ended.
    left: AtomicUsize,
    panic: std::sync::Mutex<Option<Box<dyn Any + Send>>>,
}

impl House {
    /// To be called by a task.
    #[allow(dead_code, reason = "tests/wasm has scenarios that do not")]
    pub fn spawn(&self, task: Task) {
        self.left.fetch_add(1, SeqCst);
        assert!(self.arrivals.try_put(task).is_ok(), "the caller has not ended");
    }

    async fn keep(self: Arc<Self>, task: Task) {
        if let Err(panic) = AssertUnwindSafe(task).catch_unwind().await {
            self.panic.lock().unwrap().get_or_insert(panic);
            self.arrivals.close_now();
        }
        if self.left.fetch_sub(1, SeqCst) == 1 {
            self.arrivals.close();
        }
    }
}

impl Tasks {
    pub fn new(first: Vec<Task>) -> Self {
        let house = House { arrivals: Queue::unbounded(), left: AtomicUsize::new(0), panic: None.into() };
        Self { first, house: Arc::new(house), round: 0, outside: false }
    }

    #[allow(dead_code, reason = "tests/wasm has scenarios that spawn nothing")]
    pub fn house(&self) -> &Arc<House> {
        &self.house
    }

    /// Starts all tasks by `spawn`, also those that arrive meanwhile, and waits until all have ended, or one has panicked.
    pub async fn run_on(self, spawn: impl Fn(Task)) {
        self.house.left.store(self.first.len(), SeqCst);
        for task in self.first {
            spawn(Box::pin(Arc::clone(&self.house).keep(task)));
        }
        while let Ok(task) = self.house.arrivals.get().await {
            spawn(Box::pin(Arc::clone(&self.house).keep(task)));
        }
        if let Some(panic) = self.house.panic.lock().unwrap().take() {
            resume_unwind(panic);
        }
    }
}

/// Lets the others run `n` times.
pub async fn yield_times(n: usize) {
    for _ in 0..n {
        yield_now().await;
    }
}

/// The output of `fut`, unless the others have run `patience` times meanwhile: then `fut` is dropped, even if it could go on.
pub async fn with_patience<T>(patience: usize, fut: impl Future<Output = T>) -> Option<T> {
    let no_more = async {
        yield_times(patience).await;
        None
    };
    or(no_more, async { Some(fut.await) }).await
}

pub fn a_set_event_releases_everybody_who_waits_even_if_it_is_cleared_at_once() -> Scenario {
    const WAITERS: usize = 10;
    let (event, in_line) = (Arc::new(Event::new()), Arc::new(Condition::new(0)));
    let afterwards = Arc::clone(&event);
    let mut scenario = Scenario::new(move || assert!(!afterwards.is_set()));
    for _ in 0..WAITERS {
        let (event, in_line) = (Arc::clone(&event), Arc::clone(&in_line));
        scenario.task(async move {
            let mut wait = pin!(event.wait());
            assert!(poll_once(wait.as_mut()).await.is_none());
            let mut count = in_line.lock().await;
            *count += 1;
            in_line.notify_all(&count);
            drop(count);
            wait.await;
        });
    }
    scenario.task(async move {
        drop(in_line.wait_until(|&count| count == WAITERS).await);
        event.set();
        event.clear();
    });
    scenario
}

pub fn a_mutex_keeps_a_counter_whole() -> Scenario {
    const TASKS: usize = 8;
    const ROUNDS: usize = 100;
    let counter = Arc::new(Mutex::new(0));
    let afterwards = Arc::clone(&counter);
    let mut scenario = Scenario::new(move || assert_eq!(*afterwards.try_lock().unwrap(), TASKS * ROUNDS));
    for _ in 0..TASKS {
        let counter = Arc::clone(&counter);
        scenario.task(async move {
            for round in 0..ROUNDS {
                let mut count = counter.lock().await;
                let before = *count;
                yield_times(round % 3).await;
                *count = before + 1;
            }
        });
    }
    scenario
}

pub fn a_cancelled_lock_wait_stands_in_nobodys_way() -> Scenario {
    const IMPATIENT: usize = 50;
    const ROUNDS: usize = 50;
    // How many had the lock, and how many gave up.
    let counts = Arc::new((Mutex::new(0), Mutex::new(0)));
    let afterwards = Arc::clone(&counts);
    let mut scenario = Scenario::new(move || {
        let (had, gave_up) = (*afterwards.0.try_lock().unwrap(), *afterwards.1.try_lock().unwrap());
        assert_eq!(had + gave_up, IMPATIENT + 2 * ROUNDS);
    });
    for _ in 0..2 {
        let counts = Arc::clone(&counts);
        scenario.task(async move {
            for _ in 0..ROUNDS {
                let mut had = counts.0.lock().await;
                yield_now().await;
                *had += 1;
            }
        });
    }
    for patience in 0..IMPATIENT {
        let counts = Arc::clone(&counts);
        scenario.task(async move {
            match with_patience(patience, counts.0.lock()).await {
                Some(mut had) => *had += 1,
                None => *counts.1.lock().await += 1,
            }
        });
    }
    scenario
}

pub fn a_condition_passes_the_turn_round_a_ring() -> Scenario {
    const TASKS: usize = 5;
    const LAPS: usize = 100;
    let turn = Arc::new(Condition::new(0));
    let afterwards = Arc::clone(&turn);
    let mut scenario = Scenario::new(move || assert_eq!(*afterwards.try_lock().unwrap(), TASKS * LAPS));
    // The first turn is that of the task that comes last.
    for me in (0..TASKS).rev() {
        let turn = Arc::clone(&turn);
        scenario.task(async move {
            for lap in 0..LAPS {
                let mut now = turn.wait_until(move |now| now % TASKS == me).await;
                assert_eq!(*now, lap * TASKS + me);
                *now += 1;
                turn.notify(&now, 1);
            }
        });
    }
    scenario
}

/// A place for one item.
#[derive(Default)]
struct Slot {
    item: Option<u32>,
    closed: bool,
    taken: u32,
}

pub fn a_cancelled_consumer_passes_its_notification_on() -> Scenario {
    const ITEMS: u32 = 100;
    const IMPATIENT: usize = 100;
    let slot = Arc::new(Condition::new(Slot::default()));
    let afterwards = Arc::clone(&slot);
    let mut scenario = Scenario::new(move || {
        let slot = afterwards.try_lock().unwrap();
        assert_eq!((slot.item, slot.taken), (None, ITEMS * (ITEMS - 1) / 2));
    });
    // Each of them waits once, and is in line before those that wait as long as it takes.
    for patience in 0..IMPATIENT {
        let slot = Arc::clone(&slot);
        scenario.task(async move {
            if let Some(mut slot_now) = with_patience(patience, slot.wait_until(|slot| slot.item.is_some())).await {
                slot_now.taken += slot_now.item.take().unwrap();
                slot.notify(&slot_now, 1);
            }
        });
    }
    for _ in 0..2 {
        let slot = Arc::clone(&slot);
        scenario.task(async move {
            loop {
                let mut slot_now = slot.wait_until(|slot| slot.item.is_some() || slot.closed).await;
                let Some(item) = slot_now.item.take() else { return };
                slot_now.taken += item;
                slot.notify(&slot_now, 1);
            }
        });
    }
    scenario.task(async move {
        for item in 0..ITEMS {
            let mut slot_now = slot.wait_until(|slot| slot.item.is_none()).await;
            slot_now.item = Some(item);
            slot.notify(&slot_now, 1);
        }
        let mut slot_now = slot.wait_until(|slot| slot.item.is_none()).await;
        slot_now.closed = true;
        slot.notify_all(&slot_now);
    });
    scenario
}

/// What two waiters wait for, and which of them have had it.
#[derive(Default)]
struct Wishes {
    come_true: [bool; 2],
    granted: [bool; 2],
}

pub fn a_notification_goes_to_another_waiter_if_its_own_comes_too_late() -> Scenario {
    let (wishes, second_done) = (Arc::new(Condition::new(Wishes::default())), Arc::new(Event::new()));
    let in_line = Arc::new(Condition::new(0));
    let afterwards = Arc::clone(&wishes);
    let mut scenario = Scenario::new(move || assert_eq!(afterwards.try_lock().unwrap().granted, [true, true]));
    for me in 0..2 {
        let (wishes, in_line, second_done) = (Arc::clone(&wishes), Arc::clone(&in_line), Arc::clone(&second_done));
        scenario.task(async move {
            drop(in_line.wait_until(move |&count| count == me).await);
            let mut wait = pin!(wishes.wait_until(move |wishes| wishes.come_true[me]));
            assert!(poll_once(wait.as_mut()).await.is_none());
            let mut count = in_line.lock().await;
            *count += 1;
            in_line.notify_all(&count);
            drop(count);
            wait.await.granted[me] = true;
            if me == 1 {
                second_done.set();
            }
        });
    }
    scenario.task(async move {
        drop(in_line.wait_until(|&count| count == 2).await);
        let mut now = wishes.lock().await;
        now.come_true = [true, true];
        wishes.notify(&now, 1);
        drop(now);
        let mut now = wishes.lock().await;
        if now.granted[0] {
            // With threads, the first waiter may have been faster than this.
            wishes.notify(&now, 1);
        }
        now.come_true[0] = false;
        drop(now);
        second_done.wait().await;
        let mut now = wishes.lock().await;
        now.come_true[0] = true;
        wishes.notify_all(&now);
    });
    scenario
}

pub fn each_notification_answers_one_plain_wait() -> Scenario {
    const WAITERS: usize = 6;
    // How many wait, and how many have been answered.
    let counts = Arc::new(Condition::new((0, 0)));
    let afterwards = Arc::clone(&counts);
    let mut scenario = Scenario::new(move || assert_eq!(*afterwards.try_lock().unwrap(), (0, WAITERS)));
    for _ in 0..WAITERS {
        let counts = Arc::clone(&counts);
        scenario.task(async move {
            let mut now = counts.lock().await;
            now.0 += 1;
            let mut now = counts.wait(now).await;
            *now = (now.0 - 1, now.1 + 1);
        });
    }
    scenario.task(async move {
        // A wait gets in line before it frees the lock: who counts itself here waits.
        while counts.lock().await.0 < WAITERS {
            yield_now().await;
        }
        for (n, answered) in [(1, 1), (2, 3), (WAITERS, WAITERS)] {
            counts.notify(&counts.lock().await, n);
            while counts.lock().await.1 < answered {
                yield_now().await;
            }
            yield_times(10).await;
            assert_eq!(counts.lock().await.1, answered);
        }
    });
    scenario
}
