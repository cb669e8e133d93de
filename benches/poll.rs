//! Futures polled by hand on one thread, with a waker that counts.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{self, Context, Poll, Waker};

use bumpalo::Bump;
use bumpalo::boxed::Box as BumpBox;
use cooked_waker::{IntoWaker, Wake, WakeRef};

/// Clones, wakes and drops of the two kinds of waker.
static COUNTS: [[AtomicU64; 3]; 2] = [const { [const { AtomicU64::new(0) }; 3] }; 2];

/// A load and a store: one thread polls, so nothing is lost, and no locked operation hides what a peer costs.
fn bump(counter: &AtomicU64) {
    counter.store(counter.load(Relaxed) + 1, Relaxed);
}

/// Zero-sized, so a box of it is a dangling pointer and cloning that allocates nothing.
struct Counting<const KIND: usize>;

impl<const KIND: usize> Clone for Counting<KIND> {
    fn clone(&self) -> Self {
        bump(&COUNTS[KIND][0]);
        Self
    }
}

impl<const KIND: usize> WakeRef for Counting<KIND> {
    fn wake_by_ref(&self) {
        bump(&COUNTS[KIND][1]);
    }
}

impl<const KIND: usize> Drop for Counting<KIND> {
    fn drop(&mut self) {
        bump(&COUNTS[KIND][2]);
    }
}

impl<const KIND: usize> Wake for Counting<KIND> {}

/// A waker whose clones, wakes and drops each add one to a plain counter.
pub fn waker() -> Waker {
    Box::new(Counting::<0>).into_waker()
}

/// The waker of another task: `will_wake` tells the two apart, as it does with the wakers of an executor.
pub fn other_waker() -> Waker {
    Box::new(Counting::<1>).into_waker()
}

/// How often a [`waker`] was woken since the program began.
pub fn wakes() -> u64 {
    COUNTS[0][1].load(Relaxed)
}

/// The tasks of one thread that were woken and not yet polled.
pub struct ReadySet {
    words: Box<[AtomicU64]>,
    wakes: AtomicU64,
}

struct Task {
    index: usize,
    set: Arc<ReadySet>,
}

impl task::Wake for Task {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        bump(&self.set.wakes);
        let word = &self.set.words[self.index / 64];
        word.store(word.load(Relaxed) | 1 << (self.index % 64), Relaxed);
    }
}

impl ReadySet {
    /// A set for `tasks` tasks, and their wakers. These are reference counted, as most executors' are.
    pub fn new(tasks: usize) -> (Arc<Self>, Vec<Waker>) {
        let words = (0..tasks.div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
        let set = Arc::new(Self { words, wakes: AtomicU64::new(0) });
        let waker = |index| Waker::from(Arc::new(Task { index, set: set.clone() }));
        let wakers = (0..tasks).map(waker).collect();
        (set, wakers)
    }

    /// How often the wakers were woken.
    pub fn wakes(&self) -> u64 {
        self.wakes.load(Relaxed)
    }

    /// Takes out each task that was woken and passes it to `poll`, until there is none.
    pub fn drain(&self, mut poll: impl FnMut(usize)) {
        while self.words.iter().any(|word| word.load(Relaxed) != 0) {
            for (index, word) in self.words.iter().enumerate() {
                let mut bits = word.load(Relaxed);
                word.store(0, Relaxed);
                while bits != 0 {
                    poll(index * 64 + bits.trailing_zeros() as usize);
                    bits &= bits - 1;
                }
            }
        }
    }
}

/// Polls a future that must not be ready yet.
#[inline(always)]
pub fn pending<F: Future>(future: Pin<&mut F>, cx: &mut Context<'_>) {
    assert!(future.poll(cx).is_pending(), "ready too early");
}

/// Polls a future that must be ready, and returns its output.
#[inline(always)]
pub fn ready<F: Future>(future: Pin<&mut F>, cx: &mut Context<'_>) -> F::Output {
    match future.poll(cx) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("still pending"),
    }
}

/// A pinned future in an arena.
pub type Pinned<'a, F> = Pin<BumpBox<'a, F>>;

/// Makes `count` futures and pins them side by side in `arena`; nothing is polled.
pub fn pinned<F: Future>(arena: &Bump, count: usize, mut make: impl FnMut(usize) -> F) -> Vec<Pinned<'_, F>> {
    let mut futures = Vec::with_capacity(count);
    futures.extend((0..count).map(|index| BumpBox::pin_in(make(index), arena)));
    futures
}
