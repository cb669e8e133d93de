//! What no public verb reaches: counts at their ends.
use super::*;

/// It may come after the first in line, having looked before.
#[test]
fn who_found_nobody_in_line_does_not_end_the_count() {
    let semaphore = Semaphore::new(9);
    for _ in 0..LIMIT {
        assert!(semaphore.try_take(1, Place::Behind));
    }
    assert!(semaphore.try_take(1, Place::Alone));
    assert!(!semaphore.try_take(1, Place::Behind) && !semaphore.try_take(1, Place::Offered));
    assert!(semaphore.try_take(1, Place::Head) && semaphore.try_take(1, Place::Behind));
}

#[test]
fn releases_stop_at_the_most_there_may_be() {
    for n in [1, FEW, FEW + 1, usize::MAX] {
        for free in [0, 1] {
            let semaphore = Semaphore::new(Semaphore::MAX_PERMITS - free);
            semaphore.permits.fetch_add(3, Relaxed); // BARGED. ORDER: relaxed: one thread
            semaphore.release(n);
            assert_eq!(semaphore.permits.load(Relaxed), ALL & !BARGED | 3); // ORDER: relaxed: one thread
        }
    }
}
