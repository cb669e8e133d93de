//! The same scenarios on every executor, and wake-ups from one executor to another.
//!
//! A scenario is written once, as a list of tasks and a check, and played on every executor. To add a scenario, write its
//! function and add its name to `each_scenario!`; to add an executor, write what runs tasks on it, a line or two, and add its
//! name to `each_executor!`.
#![allow(clippy::std_instead_of_alloc, clippy::std_instead_of_core, reason = "tests have std")]

use std::{
    panic::resume_unwind,
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

mod cancelling;
mod children;
mod cross;
mod executors;
mod flows;
mod groups;
mod objects;
mod scenarios;

use cancelling::*;
use children::*;
use flows::*;
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

/// Plays a scenario a number of times.
fn play(rounds: u64, run: fn(Tasks), scenario: fn() -> Scenario) {
    watched(move || {
        for round in 0..rounds {
            let Scenario { mut tasks, check } = scenario();
            tasks.round = round;
            run(tasks);
            check();
        }
    });
}

/// The executors: how many rounds each plays, and the function of `executors.rs` that runs tasks on it.
macro_rules! each_executor {
    ($macro:ident) => {
        $macro! {
            1 simulation, 60 random_simulation, 3 one_future, 3 task_group, 3 thread_for_each, 3 pollster_threads,
            3 futures_unordered, 3 local_pool, 3 thread_pool, 3 async_executor, 3 local_executor, 3 static_executor,
            3 smol, 3 tokio_current_thread, 3 tokio_multi_thread, 3 tokio_local_set, 3 embassy, 3 edge_executor,
            3 edge_local_executor,
        }
    };
}
use each_executor;

macro_rules! each_scenario {
    ($($rounds:literal $executor:ident,)*) => {$(
        mod $executor {
            use super::*;

            each_scenario! { $rounds $executor:
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
                a_stream_of_a_queue_ends_when_the_queue_is_closed
                gathered_outputs_come_in_order_though_they_are_made_in_reverse
                a_failed_gather_drops_the_rest_before_it_returns
                outputs_come_as_they_are_completed
                a_task_group_waits_for_children_and_grandchildren
                a_failing_child_cancels_its_siblings_which_clean_up
                a_spawned_group_brings_every_value_home
                the_first_error_cancels_a_spawned_group
                a_shield_goes_on_without_whoever_waited
                a_shelter_finishes_what_was_left
                a_guard_releases_its_resource_when_its_user_is_cancelled
                an_exit_stack_releases_in_reverse_order
                a_generator_passes_items_on_and_cleans_up_when_it_is_closed
                chunks_lose_nothing_when_their_consumer_gives_up
                buffered_futures_run_so_many_at_a_time
                a_timeout_comes_at_its_deadline
                a_token_cancels_its_tree_and_nothing_else
                a_storm_of_cancellations_leaves_everything_whole
                offloaded_work_wakes_the_task_that_waits
                offloaded_work_is_told_that_nobody_waits
            }
        }
    )*};
    ($rounds:literal $executor:ident: $($scenario:ident)*) => {$(
        #[test]
        fn $scenario() {
            play($rounds, executors::$executor, super::$scenario);
        }
    )*};
}

each_executor!(each_scenario);
