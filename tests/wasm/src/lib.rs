//! The scenarios of `tests/interop` on the event loop of Node, as in a browser: one thread that must never block, on which a
//! wake-up is a microtask.
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen_futures::spawn_local;

mod executors {
    use std::{future::Future, pin::Pin};

    /// What the scenarios are made of, as in `tests/interop/executors.rs`.
    pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;
}
#[path = "../../interop/scenarios.rs"]
mod scenarios;

use scenarios::Scenario;

async fn play(scenario: fn() -> Scenario) {
    let Scenario { tasks, check } = scenario();
    tasks.run_on(spawn_local).await;
    check();
}

/// Plays the scenario of this number. False: there is none. If it hangs, so does this.
#[wasm_bindgen]
pub async fn scenario(number: usize) -> bool {
    console_error_panic_hook::set_once();
    let Some(&scenario) = SCENARIOS.get(number) else { return false };
    play(scenario).await;
    true
}

const SCENARIOS: &[fn() -> Scenario] = &[
    scenarios::a_set_event_releases_everybody_who_waits_even_if_it_is_cleared_at_once,
    scenarios::a_mutex_keeps_a_counter_whole,
    scenarios::a_cancelled_lock_wait_stands_in_nobodys_way,
    scenarios::a_condition_passes_the_turn_round_a_ring,
    scenarios::a_cancelled_consumer_passes_its_notification_on,
    scenarios::a_notification_goes_to_another_waiter_if_its_own_comes_too_late,
    scenarios::each_notification_answers_one_plain_wait,
];
