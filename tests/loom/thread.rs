//! The parking protocol of `src/wait/thread.rs`, which parks a real thread and so cannot run here: a copy of it.
//!
//! The copy is `support::Sleeper`; the models of the other files sleep by it too.

use std::{sync::Arc, task::Waker};

use crate::support::{Data, Sleeper, explore, spawn};

/// T1 -> T2, also before the unpark.
#[test]
fn e1_wake_publishes_to_the_next_poll() {
    explore(|| {
        let (sleeper, data) = (Sleeper::new(), Data::new());
        let waker = spawn({
            let (waker, data) = (Waker::from(Arc::clone(&sleeper)), Arc::clone(&data));
            move || {
                data.write(1);
                waker.wake();
            }
        });
        if !sleeper.begin() {
            sleeper.sleep();
            assert!(sleeper.begin());
        }
        assert_eq!(data.read(), 1);
        waker.join();
    });
}
