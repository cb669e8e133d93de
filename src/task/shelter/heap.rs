//! A shelter whose futures lie in heap blocks.
#![allow(unsafe_code)]
// The labels are those declared in slot.rs and home.rs.
use alloc::boxed::Box;
use core::{
    fmt::{self, Debug},
    future::Future,
    marker::PhantomData,
    ptr::NonNull,
};

use super::{
    Shielded,
    home::Home,
    keeper::{Drain, Run},
    site::Site,
    slot::{Core, Kind, Slot, Stage, clear, table_of},
    state::State,
    ticket::Placed,
};
use crate::{
    sys::{Panics, const_fn},
    task::marker::{Local, Sendable},
    tell::{Told, told},
};

/// Keeps futures that have to be finished, whoever gives up waiting for them.
///
/// [`shield`](Shelter::shield) puts a future in and returns a handle. Whoever polls drives it: the handle, as long as nobody
/// keeps the shelter; else its keeper, which is [`run`](Shelter::run), [`drain`](Shelter::drain), or a task of
/// `SHELTER.run(pending::<()>())` for as long as its executor runs. When the handle is dropped, the future stays, and the next keeper finishes it. Without a keeper it waits
/// for one, and is dropped with the shelter.
///
/// A keeper of up to 16 futures polls all of them when it is woken; one that ever had more polls its body and those futures that
/// were woken, by a ready set: a few allocations, then one for each doubling.
///
/// Declare it outside of what may be cancelled: above the `timeout`, the `select`, the `try_gather`. `'e` is what the futures
/// may borrow, and has to outlive the shelter: a future cannot borrow the shelter that it is in, but one that was declared
/// before it; in a `static` it borrows nothing that is not `static`.
///
/// # asyncio
/// asyncio's event loop is the shelter of `asyncio.shield`, and forgets a task that nobody refers to. This one owns what is
/// in it, and may borrow.
///
/// # What is not promised
/// | what happens | what becomes of the futures |
/// |---|---|
/// | a keeper is dropped | they stay, and wait for the next one |
/// | the shelter is dropped | they are dropped where they are: what they had still to do is not done |
/// | the executor that runs the keeper is dropped | that of the keeper; if the shelter is one of its tasks' variables, that of the shelter |
/// | [`mem::forget`](core::mem::forget) of the shelter | they are never polled again, and never dropped |
/// | `mem::forget` of a handle | it is finished all the same; its result, or its place in an array, is never freed |
/// | the process ends | nothing: they end with it |
///
/// # Send
/// What is put in is `Send`, and so are shelter, handles (of `Send` results) and keepers: the keeper may run on another thread.
///
/// # Examples
/// ```
/// use testudo::{Event, run::block_on, task::Shelter};
///
/// let (connected, saved) = (Event::new(), Event::new());
/// let shelter = Shelter::new();
///
/// block_on(shelter.run(async {
///     let write = shelter.shield(async {
///         connected.wait().await;
///         saved.set();
///     });
///     drop(write); // whoever waited was cancelled
///     connected.set();
/// }));
/// assert!(saved.is_set());
/// ```
/// What is borrowed has to be declared before the shelter:
/// ```compile_fail,E0597
/// let shelter = testudo::task::Shelter::new();
/// let event = testudo::Event::new();
/// shelter.adopt(event.wait());
/// ```
/// And the shelter before its handles:
/// ```compile_fail,E0597
/// let mut handle = None;
/// let shelter = testudo::task::Shelter::new();
/// handle = Some(shelter.shield(async {}));
/// ```
#[doc(alias = "shield")]
#[doc(alias = "TaskTracker")]
pub type Shelter<'e> = ShelterOf<'e, Sendable>;

/// A [`Shelter`] for futures that need not be `Send`; it stays on its thread, and so do its handles and keepers.
///
/// # Examples
/// ```
/// use std::{cell::Cell, rc::Rc};
/// use testudo::{run::block_on, task::LocalShelter};
///
/// let count = Rc::new(Cell::new(0));
/// let shelter = LocalShelter::new();
/// let theirs = count.clone();
/// drop(shelter.shield(async move { theirs.set(theirs.get() + 1) }));
/// block_on(shelter.drain());
/// assert_eq!(count.get(), 1);
/// ```
pub type LocalShelter<'e> = ShelterOf<'e, Local>;

/// [`Shelter`] and [`LocalShelter`].
pub struct ShelterOf<'e, M> {
    home: Home,
    _env: PhantomData<(Invariant<'e>, M)>,
}

type Invariant<'e> = fn(&'e ()) -> &'e ();

impl<'e, M> ShelterOf<'e, M> {
    const_fn! {
        /// Returns an empty shelter.
        ///
        /// # Examples
        /// ```
        /// static SHELTER: testudo::task::Shelter = testudo::task::Shelter::new();
        /// assert_eq!(SHELTER.len(), 0);
        /// ```
        pub const fn new() -> Self {
            Self { home: Home::new(true), _env: PhantomData }
        }
    }

    /// Tells `hook` of each failure that no handle has seen: the error of a [`try_shield`](Shelter::try_shield) or
    /// [`try_adopt`](Shelter::try_adopt), and every panic (with `std`; it prints as `Panicked("text")`).
    ///
    /// It is called once for each, when the future ends and no handle is left, or when the last handle is dropped without having
    /// looked at the result. Without a hook they are dropped.
    ///
    /// # asyncio
    /// As `loop.set_exception_handler`, for "exception in shielded future"; but it is not called if any handle has seen it.
    ///
    /// # Examples
    /// ```
    /// use testudo::{run::block_on, task::Shelter};
    ///
    /// let shelter = Shelter::new().on_orphan_error(|error| assert_eq!(format!("{error:?}"), "\"disk full\""));
    /// shelter.try_adopt(async { Err("disk full") });
    /// block_on(shelter.drain());
    /// ```
    #[must_use]
    pub const fn on_orphan_error(mut self, hook: fn(&dyn Debug)) -> Self {
        self.home.set_hook(hook);
        self
    }

    #[inline]
    #[cfg_attr(feature = "profile", track_caller)]
    fn put<F, K>(&self, future: F, refs: usize) -> Placed
    where
        F: Future + 'e,
        K: Kind<Told<F>>,
    {
        let (future, tag) = told(future, "sheltered", "Shelter::shield");
        let slot = Box::new(Slot::with(future, table_of::<Told<F>, K>(), refs, State::Free));
        tag.holds(&slot.core().list);
        let core = NonNull::from(Box::leak(slot)).cast::<Core>();
        // SAFETY: I2 of home.rs: in a heap block until it is freed, after the removal; what it borrows outlives the shelter.
        let keeper = self.home.with(|roster| unsafe { self.home.link(roster, core) });
        // SAFETY: it borrows the shelter, which the caller's handle does, or is not used.
        let site = unsafe { Site::new(core, Some(NonNull::from(&self.home))) };
        Placed { site, keeper }
    }

    /// Runs `body` and, beside it, all that is in the shelter; returns `body`'s output when the shelter is empty.
    ///
    /// Of several keepers at a time one drives; the others wait until it is gone, and drive their bodies meanwhile. So give each
    /// scope a shelter of its own: who drains a shelter that others keep filling waits for them.
    ///
    /// # asyncio
    /// As `asyncio.run`, which runs `body` and the tasks; but that cancels what is left when `body` ends, and this finishes it.
    ///
    /// # Cancel safety
    /// Not cancel safe: dropping this future loses `body`. What is in the shelter stays in it.
    ///
    /// # Panics
    /// When polled after completion, and when `body` does; then what is in the shelter stays in it.
    ///
    /// # Examples
    /// ```
    /// use testudo::{Event, run::block_on, task::Shelter};
    ///
    /// let closed = Event::new();
    /// let shelter = Shelter::new();
    /// let answer = block_on(shelter.run(async {
    ///     shelter.adopt(async { closed.set() });
    ///     42
    /// }));
    /// assert!(answer == 42 && closed.is_set());
    /// ```
    /// A keeper for as long as an executor runs:
    /// ```
    /// use core::future::pending;
    /// use testudo::{Event, task::Shelter};
    ///
    /// static SHELTER: Shelter = Shelter::new();
    /// static SAVED: Event = Event::new();
    ///
    /// let executor = async_executor::Executor::new();
    /// executor.spawn(SHELTER.run(pending::<()>())).detach();
    /// SHELTER.adopt(async { SAVED.set() });
    /// futures_lite::future::block_on(executor.run(SAVED.wait()));
    /// ```
    pub fn run<B: Future>(&self, body: B) -> Run<'_, B, M> {
        Run::new(&self.home, body)
    }

    /// Runs what is in the shelter, until it is empty.
    ///
    /// An empty shelter is drained at once: do not loop over this to keep a shelter, but let a task
    /// [`run`](Shelter::run) a body that never ends. A future in the shelter must not wait for the shelter to be empty.
    ///
    /// # asyncio
    /// As `await asyncio.gather(*tasks)` before the end of `main`, which programs with shielded tasks have to remember.
    ///
    /// # Cancel safety
    /// Cancel safe: dropping this future gives up its place in line and nothing else.
    ///
    /// # Panics
    /// When polled after completion.
    ///
    /// # Examples
    /// ```
    /// use testudo::{run::block_on, task::Shelter};
    ///
    /// let shelter = Shelter::new();
    /// shelter.adopt(async {});
    /// block_on(shelter.drain());
    /// assert!(shelter.is_empty());
    /// ```
    pub fn drain(&self) -> Drain<'_, M> {
        Drain::new(&self.home)
    }

    /// Says how many futures have not ended. One load.
    ///
    /// # Examples
    /// ```
    /// let shelter = testudo::task::Shelter::new();
    /// shelter.adopt(async {});
    /// assert_eq!(shelter.len(), 1);
    /// ```
    pub fn len(&self) -> usize {
        self.home.len()
    }

    /// Says whether all futures have ended. One load.
    ///
    /// # Examples
    /// ```
    /// assert!(testudo::task::Shelter::new().is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Drops all futures that are there at this moment; their handles get [`Cancelled`](super::Cancelled).
    ///
    /// One that is being polled at this moment is dropped when its poll returns; if it ends in that poll, its result stands.
    /// What the dropped ones put in (the releases of guards) stays.
    ///
    /// # Panics
    /// When the drop of a future does; the others stay.
    ///
    /// # Examples
    /// ```
    /// use testudo::{run::block_on, task::{Cancelled, Shelter}};
    ///
    /// let shelter = Shelter::new();
    /// let never = shelter.shield(std::future::pending::<()>());
    /// shelter.abort_all();
    /// assert_eq!(block_on(never), Err(Cancelled));
    /// ```
    #[doc(alias = "cancel")]
    pub fn abort_all(&self) {
        self.home.abort_all();
    }
}

impl<'e> ShelterOf<'e, Sendable> {
    /// Puts a future in, and returns a handle that waits for its result.
    ///
    /// It is in the shelter when this returns, polled or not. One allocation.
    ///
    /// # asyncio
    /// As `asyncio.shield`; but the future borrows, and needs no task.
    ///
    /// # Cancel safety
    /// Cancel safe: dropping this future gives up its place in line and nothing else.
    ///
    /// # Examples
    /// ```
    /// use testudo::{run::block_on, task::Shelter};
    ///
    /// let shelter = Shelter::new();
    /// assert_eq!(block_on(shelter.shield(async { 42 })), Ok(42));
    /// ```
    #[inline]
    #[cfg_attr(feature = "profile", track_caller)]
    pub fn shield<F>(&self, future: F) -> Shielded<'_, F::Output, Sendable>
    where
        F: Future<Output: Send> + Send + 'e,
    {
        let placed = self.put::<_, Boxed>(future, 2);
        // SAFETY: I2 of slot.rs: the second reference is the handle's; it borrows the shelter.
        Shielded { ticket: unsafe { placed.ticket() }, _type: PhantomData }
    }

    /// As [`shield`](Shelter::shield), for a future that may fail: an error that no handle sees is told to the hook of
    /// [`on_orphan_error`](Shelter::on_orphan_error).
    ///
    /// # Cancel safety
    /// Cancel safe: dropping this future gives up its place in line and nothing else.
    ///
    /// # Examples
    /// ```
    /// use testudo::{run::block_on, task::Shelter};
    ///
    /// let shelter = Shelter::new().on_orphan_error(|_| panic!("a handle has seen it"));
    /// assert_eq!(block_on(shelter.try_shield(async { Err::<(), _>("disk full") })), Ok(Err("disk full")));
    /// ```
    #[cfg_attr(feature = "profile", track_caller)]
    pub fn try_shield<F, T, E>(&self, future: F) -> Shielded<'_, Result<T, E>, Sendable>
    where
        F: Future<Output = Result<T, E>> + Send + 'e,
        T: Send,
        E: Debug + Send,
    {
        let placed = self.put::<_, BoxedResult>(future, 2);
        // SAFETY: I2 of slot.rs: the second reference is the handle's; it borrows the shelter.
        Shielded { ticket: unsafe { placed.ticket() }, _type: PhantomData }
    }

    /// Puts a future in for which nobody waits.
    ///
    /// # Examples
    /// ```
    /// use testudo::{Event, run::block_on, task::Shelter};
    ///
    /// let sent = Event::new();
    /// let shelter = Shelter::new();
    /// shelter.adopt(async { sent.set() });
    /// block_on(shelter.drain());
    /// assert!(sent.is_set());
    /// ```
    #[cfg_attr(feature = "profile", track_caller)]
    pub fn adopt<F>(&self, future: F)
    where
        F: Future<Output = ()> + Send + 'e,
    {
        self.put::<_, Boxed>(future, 1).adopt();
    }

    /// As [`adopt`](Shelter::adopt), for a future that may fail: its error is told to the hook of
    /// [`on_orphan_error`](Shelter::on_orphan_error).
    ///
    /// # Examples
    /// ```
    /// use testudo::{run::block_on, task::Shelter};
    ///
    /// let shelter = Shelter::new().on_orphan_error(|error| assert_eq!(format!("{error:?}"), "7"));
    /// shelter.try_adopt(async { Err(7) });
    /// block_on(shelter.drain());
    /// ```
    #[cfg_attr(feature = "profile", track_caller)]
    pub fn try_adopt<F, E>(&self, future: F)
    where
        F: Future<Output = Result<(), E>> + Send + 'e,
        E: Debug + Send,
    {
        self.put::<_, BoxedResult>(future, 1).adopt();
    }
}

impl<'e> ShelterOf<'e, Local> {
    /// As [`Shelter::shield`].
    ///
    /// # Cancel safety
    /// Cancel safe: dropping this future gives up its place in line and nothing else.
    ///
    /// # Examples
    /// See [`LocalShelter`].
    #[inline]
    #[cfg_attr(feature = "profile", track_caller)]
    pub fn shield<F: Future + 'e>(&self, future: F) -> Shielded<'_, F::Output, Local> {
        let placed = self.put::<_, Boxed>(future, 2);
        // SAFETY: I2 of slot.rs: the second reference is the handle's; it borrows the shelter.
        Shielded { ticket: unsafe { placed.ticket() }, _type: PhantomData }
    }

    /// As [`Shelter::try_shield`].
    ///
    /// # Cancel safety
    /// Cancel safe: dropping this future gives up its place in line and nothing else.
    ///
    /// # Examples
    /// See [`Shelter::try_shield`].
    #[cfg_attr(feature = "profile", track_caller)]
    pub fn try_shield<F, T, E: Debug>(&self, future: F) -> Shielded<'_, Result<T, E>, Local>
    where
        F: Future<Output = Result<T, E>> + 'e,
    {
        let placed = self.put::<_, BoxedResult>(future, 2);
        // SAFETY: I2 of slot.rs: the second reference is the handle's; it borrows the shelter.
        Shielded { ticket: unsafe { placed.ticket() }, _type: PhantomData }
    }

    /// As [`Shelter::adopt`].
    ///
    /// # Examples
    /// See [`Shelter::adopt`].
    #[cfg_attr(feature = "profile", track_caller)]
    pub fn adopt<F: Future<Output = ()> + 'e>(&self, future: F) {
        self.put::<_, Boxed>(future, 1).adopt();
    }

    /// As [`Shelter::try_adopt`].
    ///
    /// # Examples
    /// See [`Shelter::try_adopt`].
    #[cfg_attr(feature = "profile", track_caller)]
    pub fn try_adopt<F, E: Debug>(&self, future: F)
    where
        F: Future<Output = Result<(), E>> + 'e,
    {
        self.put::<_, BoxedResult>(future, 1).adopt();
    }
}

impl<M> Default for ShelterOf<'_, M> {
    fn default() -> Self {
        Self::new()
    }
}

impl<M> Drop for ShelterOf<'_, M> {
    fn drop(&mut self) {
        // No handle and no keeper is left, but for forgotten ones.
        let mut panics = Panics::new();
        while let Some(core) = self.home.find(|_, _| true) {
            // SAFETY: I2 of home.rs: found in the list.
            drop(unsafe { self.home.remove(core) });
            // SAFETY: I1 of slot.rs: nobody else has access, for `self` is borrowed mutably.
            panics.catch(|| unsafe { clear(core, Stage::Empty) });
            // SAFETY: I5 of slot.rs.
            let free = unsafe { core.as_ref() }.table().free;
            // SAFETY: I2 of slot.rs: out of the list, and empty.
            unsafe { free(core, None) };
        }
        panics.resume();
    }
}

impl<M> fmt::Debug for ShelterOf<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shelter").field("len", &self.len()).finish_non_exhaustive()
    }
}

// A panic in a future leaves every place in order.
impl core::panic::UnwindSafe for ShelterOf<'_, Sendable> {}
impl core::panic::RefUnwindSafe for ShelterOf<'_, Sendable> {}

/// A slot in a heap block.
pub(super) struct Boxed;

impl<F: Future> Kind<F> for Boxed {
    fn failure(_: &F::Output) -> Option<&dyn Debug> {
        None
    }

    unsafe fn free(core: NonNull<Core>, _: Option<NonNull<Home>>) {
        // SAFETY: (a): it came from a box, in `put`.
        drop(unsafe { Box::from_raw(core.cast::<Slot<F>>().as_ptr()) });
    }
}

/// The same, whose output may be a failure.
struct BoxedResult;

impl<T, E: Debug, F: Future<Output = Result<T, E>>> Kind<F> for BoxedResult {
    fn failure(output: &F::Output) -> Option<&dyn Debug> {
        output.as_ref().err().map(|error| error as &dyn Debug)
    }

    unsafe fn free(core: NonNull<Core>, home: Option<NonNull<Home>>) {
        // SAFETY: (a).
        unsafe { <Boxed as Kind<F>>::free(core, home) };
    }
}
