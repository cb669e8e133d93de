//! The same scenarios on every executor, and wake-ups from one executor to another.
//!
//! A scenario is written once, as a list of tasks and a check; `each_scenario!` plays all of them on one executor. To add
//! a scenario, add its name there; to add an executor, add a line at the end of this file.
#![allow(clippy::std_instead_of_alloc, clippy::std_instead_of_core, reason = "tests have std")]

use std::{
    panic::resume_unwind,
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

mod cross;
mod executors;
mod groups;
mod objects;
mod scenarios;

use executors::Task;
use objects::*;
use scenarios::*;

/// Runs `test` on a thread; a test that hangs fails.
fn watched(test: impl FnOnce() + Send + 'static) {
    let (alive, ended) = mpsc::channel::<()>();
    let thread = thread::spawn(move || {
        let _alive = alive;
        test();
    });
    match ended.recv_timeout(Duration::from_secs(60)) {
        Err(RecvTimeoutError::Timeout) => panic!("this hangs"),
        _ => thread.join().unwrap_or_else(|panic| resume_unwind(panic)),
    }
}

/// Plays a scenario a number of times; `run` gets the number of the round and the tasks, and returns when they have ended.
fn play(rounds: u64, run: impl Fn(u64, Vec<Task>) + Send + 'static, scenario: fn() -> Scenario) {
    watched(move || {
        for round in 0..rounds {
            let Scenario { tasks, check } = scenario();
            run(round, tasks);
            check();
        }
    });
}

macro_rules! each_scenario {
    ($executor:ident, $rounds:literal, $run:expr) => {
        each_scenario! { $executor, $rounds, $run,
            a_set_event_releases_everybody_who_waits_even_if_it_is_cleared_at_once
            a_mutex_keeps_a_counter_whole
            a_cancelled_lock_wait_stands_in_nobodys_way
            a_condition_passes_the_turn_round_a_ring
            a_cancelled_consumer_passes_its_notification_on
            a_notification_goes_to_another_waiter_if_its_own_comes_too_late
            each_notification_answers_one_plain_wait
            a_semaphore_lets_in_no_more_than_it_has_permits_for
            large_and_small_requests_for_permits_are_all_served
            readers_share_an_rwlock_and_writers_are_alone
            a_barrier_keeps_its_rounds_apart
            a_party_that_gives_up_takes_its_arrival_back
            a_cell_is_initialized_once_though_initializers_fail_and_are_cancelled
            every_item_put_into_a_queue_is_got_once
            every_item_put_into_an_array_queue_is_got_once
            joining_a_queue_waits_for_all_that_was_put
        }
    };
    ($executor:ident, $rounds:literal, $run:expr, $($scenario:ident)*) => {
        mod $executor {
            use super::*;

            $(
                #[test]
                fn $scenario() {
                    play($rounds, $run, super::$scenario);
                }
            )*
        }
    };
}

each_scenario!(on_the_simulation, 1, |_, tasks| executors::simulation(tasks));
each_scenario!(on_the_simulation_in_random_order, 100, executors::random_simulation);
each_scenario!(in_one_future_of_block_on, 3, |_, tasks| executors::one_future(tasks));
each_scenario!(on_a_thread_for_each_task, 3, |_, tasks| executors::thread_for_each(tasks));
each_scenario!(on_async_executor, 3, |_, tasks| executors::async_executor(tasks));
each_scenario!(on_local_executor, 3, |_, tasks| executors::local_executor(tasks));
each_scenario!(on_smol, 3, |_, tasks| executors::smol(tasks));
each_scenario!(on_tokio_current_thread, 3, |_, tasks| executors::tokio_current_thread(tasks));
each_scenario!(on_tokio_multi_thread, 3, |_, tasks| executors::tokio_multi_thread(tasks));
