//! Virtual time: a clock that jumps, and sleeping by it.
// STATE       Idle --T1 the deadline has come already--> Yielded --T3 next poll--> Done
//             Idle --T2 set the timer--> Waiting --T4 the deadline has come--> Done
// INVARIANTS  I1 a timer is in the map only while its `Sleep` is Waiting: firing it or dropping the `Sleep` removes it.
//             I2 wakers are cloned, woken and dropped while nothing is borrowed: they are foreign code.
//             I3 the clock is held as long as a `Hold` lives; `advance` moves it all the same.
// CANCEL      Waiting: the timer is removed.
use alloc::{collections::BTreeMap, rc::Rc, vec::Vec};
use core::{
    fmt,
    future::{Future, IntoFuture},
    mem,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use futures_core::FusedFuture;

use super::world::World;
use crate::{
    task::{Timeout, timeout},
    wait::phase::POLLED_AFTER_COMPLETION,
};

/// When a timer fires: its deadline, and its number among all timers, so that equal deadlines fire in order.
type When = (Duration, u64);

/// The time, and the timers that are set.
#[derive(Debug, Default)]
pub(super) struct Timers {
    now: Duration,
    set: BTreeMap<When, Waker>,
    count: u64,
    holds: usize,
}

impl Timers {
    pub(super) fn now(&self) -> Duration {
        self.now
    }

    pub(super) fn len(&self) -> usize {
        self.set.len()
    }

    /// I3.
    pub(super) fn is_held(&self) -> bool {
        self.holds > 0
    }

    /// Returns the next deadline.
    pub(super) fn next(&self) -> Option<Duration> {
        self.set.keys().next().map(|&(deadline, _)| deadline)
    }

    /// Moves the clock on to `now`, and takes the timers that are due then out in their order, to be woken (I1, I2).
    pub(super) fn advance(&mut self, now: Duration) -> Vec<Waker> {
        self.now = self.now.max(now);
        let mut due = Vec::new();
        while let Some(timer) = self.set.first_entry() {
            if timer.key().0 > self.now {
                break;
            }
            due.push(timer.remove());
        }
        due
    }

    /// Takes all of them out, not to be woken.
    pub(super) fn clear(&mut self) -> Vec<Waker> {
        mem::take(&mut self.set).into_values().collect()
    }

    fn add(&mut self, deadline: Duration, waker: Waker) -> When {
        self.count += 1;
        let when = (deadline, self.count);
        self.set.insert(when, waker);
        when
    }
}

/// The virtual clock of a [`Sim`](super::Sim): tells the time and makes tasks sleep; clones tell the same time.
///
/// Time is a number of nanoseconds since the start. It passes only when no task can run: then it jumps to the next
/// deadline. It stands still while an [`External`](super::External) or a [`Hold`] is alive, and for ever once its
/// simulation is gone.
///
/// # asyncio
/// Same as `loop.time` and `asyncio.sleep`. Differs in that time is virtual and exact.
///
/// # Examples
/// ```
/// use core::time::Duration;
/// use testudo::run::Sim;
///
/// let sim = Sim::new();
/// let clock = sim.clock();
/// sim.block_on(async move {
///     clock.sleep(Duration::from_secs(3600)).await;
///     assert_eq!(clock.now(), Duration::from_secs(3600));
/// }).unwrap();
/// ```
#[derive(Clone)]
pub struct Clock {
    world: Rc<World>,
}

impl Clock {
    pub(super) fn new(world: Rc<World>) -> Self {
        Self { world }
    }

    /// Returns the virtual time since the start of the simulation.
    ///
    /// # Examples
    /// ```
    /// use core::time::Duration;
    /// use testudo::run::Sim;
    ///
    /// assert_eq!(Sim::new().clock().now(), Duration::ZERO);
    /// ```
    #[doc(alias = "time")]
    pub fn now(&self) -> Duration {
        self.world.now()
    }

    /// Waits until `duration` has passed since this call.
    ///
    /// Those who wait for the same moment go on in the order in which they were polled first. Waiting for no time lets
    /// every task that can run now run once.
    ///
    /// # asyncio
    /// Same as `asyncio.sleep`. Differs in that the time counts from this call, not from the first poll.
    ///
    /// # Cancel safety
    /// Cancel safe: dropping this future gives up its place in line and nothing else.
    ///
    /// # Panics
    /// The future does when polled after completion.
    ///
    /// # Examples
    /// ```
    /// use core::time::Duration;
    /// use testudo::run::Sim;
    ///
    /// let sim = Sim::new();
    /// let slow = sim.clock().sleep(Duration::from_millis(20));
    /// sim.block_on(slow).unwrap();
    /// assert_eq!(sim.now(), Duration::from_millis(20));
    /// ```
    pub fn sleep(&self, duration: Duration) -> Sleep {
        let deadline = self.now().saturating_add(duration);
        self.sleep_until(deadline)
    }

    /// Waits until the virtual time is `deadline`, as [`Clock::sleep`] does.
    ///
    /// # asyncio
    /// Same as waiting for a `loop.call_at`.
    ///
    /// # Cancel safety
    /// Cancel safe: dropping this future gives up its place in line and nothing else.
    ///
    /// # Panics
    /// The future does when polled after completion.
    ///
    /// # Examples
    /// ```
    /// use core::time::Duration;
    /// use testudo::run::Sim;
    ///
    /// let sim = Sim::new();
    /// sim.advance(Duration::from_millis(5));
    /// sim.block_on(sim.clock().sleep_until(Duration::from_millis(20))).unwrap();
    /// assert_eq!(sim.now(), Duration::from_millis(20));
    /// ```
    #[doc(alias = "call_at")]
    pub fn sleep_until(&self, deadline: Duration) -> Sleep {
        Sleep { world: Rc::clone(&self.world), deadline, phase: Phase::Idle }
    }

    /// Runs a future until it is ready or `duration` has passed since this call, as [`timeout`](crate::task::timeout) does.
    ///
    /// # asyncio
    /// Same as `asyncio.timeout`, with the differences of [`timeout`](crate::task::timeout).
    ///
    /// # Cancel safety
    /// Not cancel safe: dropping this future loses what the future it runs loses when it is dropped.
    ///
    /// # Errors
    /// [`Elapsed`](crate::task::Elapsed) when the time had passed while the future was pending.
    ///
    /// # Panics
    /// The future does when polled after completion.
    ///
    /// # Examples
    /// ```
    /// use core::{future::pending, time::Duration};
    /// use testudo::{run::Sim, task::Elapsed};
    ///
    /// let sim = Sim::new();
    /// let late = sim.clock().timeout(Duration::from_secs(5), pending::<()>());
    /// assert_eq!(sim.block_on(late).unwrap(), Err(Elapsed));
    /// assert_eq!(sim.now(), Duration::from_secs(5));
    /// ```
    pub fn timeout<F: IntoFuture>(&self, duration: Duration, fut: F) -> Timeout<Sleep, F::IntoFuture> {
        timeout(self.sleep(duration), fut)
    }

    /// Runs a future until it is ready or the clock says `deadline`, as [`timeout`](Clock::timeout) does.
    ///
    /// # asyncio
    /// Same as `asyncio.timeout_at`, with the differences of [`timeout`](crate::task::timeout).
    ///
    /// # Cancel safety
    /// Not cancel safe: dropping this future loses what the future it runs loses when it is dropped.
    ///
    /// # Errors
    /// [`Elapsed`](crate::task::Elapsed) when the deadline came while the future was pending.
    ///
    /// # Panics
    /// The future does when polled after completion.
    ///
    /// # Examples
    /// ```
    /// use core::{future::ready, time::Duration};
    /// use testudo::run::Sim;
    ///
    /// let sim = Sim::new();
    /// let prompt = sim.clock().timeout_at(Duration::from_secs(5), ready(1));
    /// assert_eq!(sim.block_on(prompt).unwrap(), Ok(1));
    /// ```
    pub fn timeout_at<F: IntoFuture>(&self, deadline: Duration, fut: F) -> Timeout<Sleep, F::IntoFuture> {
        timeout(self.sleep_until(deadline), fut)
    }

    /// Moves the clock on by `duration`, as [`Sim::advance`](super::Sim::advance) does; also within tasks.
    ///
    /// # Examples
    /// ```
    /// use core::time::Duration;
    /// use testudo::run::Sim;
    ///
    /// let sim = Sim::new();
    /// let clock = sim.clock();
    /// sim.block_on(async { clock.advance(Duration::from_millis(5)) }).unwrap();
    /// assert_eq!(sim.now(), Duration::from_millis(5));
    /// ```
    pub fn advance(&self, duration: Duration) {
        self.world.advance_to(self.now().saturating_add(duration));
    }

    /// Moves the clock on to the next deadline and wakes who is due then; returns that time, or None when nobody
    /// sleeps. Works while the clock is held, and polls nothing.
    ///
    /// # Examples
    /// ```
    /// use core::time::Duration;
    /// use testudo::run::Sim;
    ///
    /// let sim = Sim::new();
    /// let _hold = sim.clock().hold();
    /// sim.spawn(sim.clock().sleep(Duration::from_secs(9)));
    /// sim.run_until_stalled();
    /// assert_eq!(sim.clock().advance_to_next(), Some(Duration::from_secs(9)));
    /// assert!(sim.run_until_stalled().is_none());
    /// ```
    pub fn advance_to_next(&self) -> Option<Duration> {
        self.world.advance_to_next().then(|| self.now())
    }

    /// Returns the next deadline that somebody sleeps for.
    ///
    /// # Examples
    /// ```
    /// use core::time::Duration;
    /// use testudo::run::Sim;
    ///
    /// let sim = Sim::new();
    /// assert_eq!(sim.clock().next_deadline(), None);
    /// let _hold = sim.clock().hold();
    /// sim.spawn(sim.clock().sleep(Duration::from_secs(9)));
    /// sim.run_until_stalled();
    /// assert_eq!(sim.clock().next_deadline(), Some(Duration::from_secs(9)));
    /// ```
    pub fn next_deadline(&self) -> Option<Duration> {
        self.world.timers().next()
    }

    /// Keeps the clock from jumping while the result lives: time passes by [`Clock::advance`] only.
    ///
    /// When no task can run then, the simulation is stalled, and the [`Stall`](super::Stall) names the next deadline.
    ///
    /// # Examples
    /// ```
    /// use core::time::Duration;
    /// use testudo::run::Sim;
    ///
    /// let sim = Sim::new();
    /// let task = sim.spawn(sim.clock().sleep(Duration::from_secs(1)));
    /// let hold = sim.clock().hold();
    /// assert!(sim.run_until_stalled().is_some());
    /// assert_eq!((sim.now(), task.is_finished()), (Duration::ZERO, false));
    /// drop(hold);
    /// assert!(sim.run_until_stalled().is_none());
    /// assert_eq!((sim.now(), task.is_finished()), (Duration::from_secs(1), true));
    /// ```
    #[doc(alias = "inhibit")]
    pub fn hold(&self) -> Hold {
        self.world.timers_mut().holds += 1;
        Hold { world: Rc::clone(&self.world) }
    }
}

/// Keeps the clock of a [`Sim`](super::Sim) from jumping; made by [`Clock::hold`].
///
/// # Examples
/// ```
/// use core::time::Duration;
/// use testudo::run::{Hold, Sim};
///
/// let sim = Sim::new();
/// let hold: Hold = sim.clock().hold();
/// assert!(sim.block_on(sim.clock().sleep(Duration::from_secs(1))).is_err());
/// drop(hold);
/// assert!(sim.block_on(sim.clock().sleep(Duration::from_secs(1))).is_ok());
/// ```
#[must_use = "the clock is held only while this is alive"]
pub struct Hold {
    world: Rc<World>,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.world.timers_mut().holds -= 1;
    }
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hold").field("now", &self.world.now()).finish()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock").field("now", &self.now()).finish()
    }
}

/// What tells timers apart from each other, and from addresses, which are even.
#[cfg(feature = "profile")]
fn number((_, count): When) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX) << 1 | 1
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Idle,
    Yielded,
    Waiting(When),
    Done,
}

/// The future of [`Clock::sleep`].
///
/// # Cancel safety
/// Cancel safe: dropping this future gives up its place in line and nothing else.
///
/// # Examples
/// ```
/// use core::time::Duration;
/// use testudo::run::{Sim, Sleep};
///
/// let sim = Sim::new();
/// let sleep: Sleep = sim.clock().sleep(Duration::from_secs(1));
/// drop(sleep);
/// assert_eq!(sim.block_on(async { 7 }).unwrap(), 7);
/// assert_eq!(sim.now(), Duration::ZERO);
/// ```
#[must_use = "futures do nothing unless polled"]
pub struct Sleep {
    world: Rc<World>,
    deadline: Duration,
    phase: Phase,
}

impl Sleep {
    /// Takes the timer back, if it is set.
    fn unset(&mut self) {
        if let Phase::Waiting(when) = self.phase {
            let waker = self.world.timers_mut().set.remove(&when);
            drop(waker); // I2
        }
    }

    /// Leaves the waker of the poll of now.
    fn update(&self, when: When, waker: &Waker) {
        if self.world.timers().set.get(&when).is_some_and(|known| known.will_wake(waker)) {
            return;
        }
        let fresh = waker.clone();
        let old = self.world.timers_mut().set.insert(when, fresh);
        drop(old); // I2
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let due = self.deadline <= self.world.now();
        match self.phase {
            Phase::Idle if due => {
                self.phase = Phase::Yielded; // T1
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Phase::Idle => {
                let waker = cx.waker().clone(); // I2
                let when = self.world.timers_mut().add(self.deadline, waker);
                self.phase = Phase::Waiting(when); // T2
                tell!(blocked(&*self.world, "Clock::sleep", number(when)));
                return Poll::Pending;
            }
            Phase::Waiting(when) if !due => {
                self.update(when, cx.waker());
                return Poll::Pending;
            }
            Phase::Yielded | Phase::Waiting(_) => self.unset(),
            Phase::Done => panic!("{POLLED_AFTER_COMPLETION}"),
        }
        #[cfg(feature = "profile")]
        if let Phase::Waiting(when) = self.phase {
            tell!(resumed(&*self.world, "Clock::sleep", number(when)));
        }
        self.phase = Phase::Done; // T3, T4
        Poll::Ready(())
    }
}

impl FusedFuture for Sleep {
    fn is_terminated(&self) -> bool {
        matches!(self.phase, Phase::Done)
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        #[cfg(feature = "profile")]
        if let Phase::Waiting(when) = self.phase {
            tell!(cancelled(&*self.world, "Clock::sleep", number(when)));
        }
        self.unset();
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep").field("deadline", &self.deadline).field("phase", &self.phase).finish()
    }
}
