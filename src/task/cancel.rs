//! A token that asks to stop, and passes the request down a tree.
#![allow(unsafe_code)]
// STATE       word: CANCELLED, and in line those who wait for it and the links of its children
//                 T1 cancel, nobody in line, or the flag taken   w -> w | CANCELLED; the holder does the rest of T2
//                 T2 cancel               CANCELLED under the flag; then from the oldest on: a waiter is notified; a child
//                                         does T1 or T2 in its turn, while the parent's flag is held, and is let off the line
// INVARIANTS  I1 CANCELLED never goes off, and nobody gets in line while it is on.
//             I2 who lets go of the flag of a cancelled token for good leaves nobody in line.
//             I3 a link in line is the node of a live `Wait<Link<P>>`, whose header finds its token; it stays so while the
//                flag is held, and is the parent's last access to the child when it is notified.
//             I4 nobody waits for a flag while holding another one: a child whose flag is taken is left to its holder (I2).
// EDGES       E1 T1, T2 (release) -> is_cancelled, cancelled (acquire): what was written before cancel is seen after.
// CANCEL      Waiting: place in line. Notified: everybody was told. A child: its link is taken out of the parent's line.
// INTERRUPT   cancel, is_cancelled: yes; cancel is O(descendants and their waiters), its stack O(depth). The rest: tasks only.
use core::{error::Error, fmt, ptr};

use crate::{
    sys::const_fn,
    wait::{Admit, Bits, Handle, Head, Held, Node, Source, Step, Token, Wait, WaitBatch, WaitList, wait_future},
};

mod child;
mod run;
#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
mod shared;

#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
pub use self::shared::SharedToken;
pub use self::{child::ChildToken, run::CancelRun};

/// A request to stop, which any number of tasks can see, wait for, and pass on to children.
///
/// Once cancelled it stays so. One word; `const`; children live on the stack or in their owner and need no memory but their own.
/// Where tokens have to be owned and cloned, take a [`SharedToken`](crate::task::SharedToken).
///
/// # asyncio
/// There is none. It is what `Task.cancel` asks for, without the exception: a future that wants to clean up takes a
/// token, for a dropped future cannot. It is level-triggered, as trio's scopes are: every later look and wait sees it.
///
/// # Examples
/// ```
/// use core::pin::pin;
/// use testudo::{run::block_on, task::{CancelToken, Cancelled}};
///
/// static SHUTDOWN: CancelToken = CancelToken::new();
///
/// let child = pin!(SHUTDOWN.child());
/// let child = child.token();
/// let server = std::thread::scope(|s| {
///     let server = s.spawn(|| block_on(child.run(core::future::pending::<()>())));
///     SHUTDOWN.cancel();
///     server.join().unwrap()
/// });
/// assert_eq!(server, Err(Cancelled));
/// ```
#[doc(alias = "CancellationToken")]
#[doc(alias = "CancelScope")]
pub struct CancelToken {
    list: WaitList,
}

const CANCELLED: Bits = Bits::own(0);

/// What the node of a link says about itself: how to reach its token. A waiter has none.
type Below = Option<unsafe fn(*const Node) -> *const CancelToken>;

impl CancelToken {
    const_fn! {
        /// Returns a token that is not cancelled.
        ///
        /// # Examples
        /// ```
        /// static STOP: testudo::task::CancelToken = testudo::task::CancelToken::new();
        /// assert!(!STOP.is_cancelled());
        /// ```
        pub const fn new() -> Self {
            Self { list: WaitList::new(Bits::NONE) }
        }
    }

    /// Cancels this token and all its descendants, and wakes those who wait for them, oldest first.
    ///
    /// Never waits: if another thread or an interrupted task is at work on one of the tokens, that one does the rest. What
    /// is cancelled already stays as it is.
    ///
    /// # Interrupts
    /// May be called from interrupts and signal handlers, if the wakers may. O(descendants and waiters), and about 16
    /// words of stack for each level of the tree, in optimized code.
    ///
    /// # Memory ordering
    /// What was written before `cancel` is seen by who sees the token or a descendant cancelled.
    ///
    /// # Panics
    /// If a waker panics; all waiters are woken first.
    ///
    /// # Examples
    /// ```
    /// let token = testudo::task::CancelToken::new();
    /// token.cancel();
    /// assert!(token.is_cancelled());
    /// ```
    #[doc(alias = "abort")]
    pub fn cancel(&self) {
        if let Some(held) = self.mark() {
            self.serve(held);
        }
    }

    /// Says whether the token was cancelled, by itself or through an ancestor. One load.
    ///
    /// # Interrupts
    /// May be called from interrupts.
    ///
    /// # Memory ordering
    /// If true, what was written before the `cancel` is seen.
    ///
    /// # Examples
    /// ```
    /// assert!(!testudo::task::CancelToken::new().is_cancelled());
    /// ```
    #[inline]
    pub fn is_cancelled(&self) -> bool {
        self.list.load().bits().has(CANCELLED) // ORDER: E1 acquire
    }

    /// Waits until the token is cancelled.
    ///
    /// # Cancel safety
    /// Cancel safe: dropping this future gives up its place in line and nothing else.
    ///
    /// # Panics
    /// When polled after completion.
    ///
    /// # Examples
    /// ```
    /// # testudo::run::block_on(async {
    /// let token = testudo::task::CancelToken::new();
    /// token.cancel();
    /// token.cancelled().await;
    /// # });
    /// ```
    #[inline]
    pub fn cancelled(&self) -> CancelWait<&Self> {
        Self::cancelled_with(self)
    }

    /// Waits as [`cancelled`](CancelToken::cancelled) does, through any handle.
    ///
    /// # Cancel safety
    /// Cancel safe: dropping this future gives up its place in line and nothing else.
    ///
    /// # Panics
    /// When polled after completion.
    ///
    /// # Examples
    /// ```
    /// use testudo::task::{CancelToken, SharedToken};
    ///
    /// let token = SharedToken::new();
    /// let cancelled = CancelToken::cancelled_with(token.clone());
    /// token.cancel();
    /// std::thread::spawn(|| testudo::run::block_on(cancelled)).join().unwrap();
    /// ```
    #[inline]
    pub fn cancelled_with<H: Handle<Target = Self>>(this: H) -> CancelWait<H> {
        CancelWait { wait: Wait::new(CancelSource(this), false) }
    }

    /// Runs a future until it is ready or the token is cancelled; then it is dropped at once.
    ///
    /// The value comes first: the future is polled before the token is looked at, so one that is ready is never thrown away.
    ///
    /// # Cancel safety
    /// Not cancel safe: dropping this future loses what the future it runs loses when it is dropped.
    ///
    /// # Errors
    /// [`Cancelled`] when the token was cancelled while the future was pending.
    ///
    /// # Panics
    /// When polled after completion.
    ///
    /// # Examples
    /// ```
    /// # testudo::run::block_on(async {
    /// use testudo::task::{CancelToken, Cancelled};
    ///
    /// let token = CancelToken::new();
    /// token.cancel();
    /// assert_eq!(token.run(async { 1 }).await, Ok(1));
    /// assert_eq!(token.run(core::future::pending::<()>()).await, Err(Cancelled));
    /// # });
    /// ```
    #[doc(alias = "run_until_cancelled")]
    #[inline]
    pub fn run<F: Future>(&self, fut: F) -> CancelRun<F, &Self> {
        Self::run_with(self, fut)
    }

    /// Runs a future as [`run`](CancelToken::run) does, with any handle on the token.
    ///
    /// # Cancel safety
    /// Not cancel safe: dropping this future loses what the future it runs loses when it is dropped.
    ///
    /// # Errors
    /// As [`run`](CancelToken::run).
    ///
    /// # Panics
    /// When polled after completion.
    ///
    /// # Examples
    /// ```
    /// use testudo::task::{CancelToken, SharedToken};
    ///
    /// let work = CancelToken::run_with(SharedToken::new(), async { 1 });
    /// assert_eq!(std::thread::spawn(|| testudo::run::block_on(work)).join().unwrap(), Ok(1));
    /// ```
    #[inline]
    pub fn run_with<F: Future, H: Handle<Target = Self>>(this: H, fut: F) -> CancelRun<F, H> {
        CancelRun::new(fut, Self::cancelled_with(this))
    }

    /// Returns a child: cancelled with this token, or alone. It takes part once it is pinned, see [`ChildToken::token`].
    ///
    /// # Examples
    /// ```
    /// use core::pin::pin;
    /// use testudo::task::CancelToken;
    ///
    /// let (parent, sibling) = (CancelToken::new(), CancelToken::new());
    /// let child = pin!(parent.child());
    /// let child = child.token();
    /// parent.cancel();
    /// assert!(child.is_cancelled() && !sibling.is_cancelled());
    /// ```
    #[doc(alias = "child_token")]
    #[inline]
    pub fn child(&self) -> ChildToken<&Self> {
        Self::child_with(self)
    }

    /// Returns a child as [`child`](CancelToken::child) does, through any handle on the parent.
    ///
    /// # Examples
    /// ```
    /// use std::sync::Arc;
    /// use testudo::task::CancelToken;
    ///
    /// let parent = Arc::new(CancelToken::new());
    /// let mut child = Box::pin(CancelToken::child_with(Arc::clone(&parent)));
    /// parent.cancel();
    /// assert!(child.as_mut().token().is_cancelled());
    /// ```
    #[inline]
    pub fn child_with<H: Handle<Target = Self>>(this: H) -> ChildToken<H> {
        ChildToken::new(this)
    }

    /// T1, or the first step of T2: then the flag is held.
    #[inline]
    fn mark(&self) -> Option<Held<'_>> {
        let mut word = self.list.guess();
        loop {
            let bits = word.bits().with(CANCELLED);
            let tried = if word.is_empty() || word.is_held() {
                self.list.try_change(word, bits) // T1. ORDER: E1 release
            } else {
                match self.list.try_hold(word, bits) {
                    // T2. ORDER: E1 release
                    Ok(held) => return Some(held),
                    Err(now) => Err(now),
                }
            };
            match tried {
                Ok(()) => return None,
                Err(now) => word = now,
            }
        }
    }

    /// T2 for whoever holds the flag of a cancelled token (I2).
    fn serve(&self, held: Held<'_>) {
        self.list.settle(held, None, |held, batch| {
            let bits = held.bits();
            match bits.has(CANCELLED) && drain(held, batch) {
                true => Step::Pass(bits),
                false => Step::LetGo(bits),
            }
        });
    }

    /// What every holder of the flag does before it lets go.
    #[inline(always)]
    fn settle(&self, held: Held<'_>) {
        if let Some(held) = held.let_go_unless(|bits| bits.has(CANCELLED)) {
            self.serve(held);
        }
    }
}

/// T2: notifies those in line, and those below them, until the batch is full. True: somebody may be left.
fn drain(held: &mut Held<'_>, batch: &mut WaitBatch) -> bool {
    while !batch.is_full() {
        let Some(head) = held.head() else { return false };
        match below(&head) {
            None => batch.extend(head.hand_over(Some(Token::All))),
            Some(child) => {
                // SAFETY: I3: in line, and the flag is held.
                let child = unsafe { &*child };
                // I4: if its flag is taken, that holder does the rest.
                if let Some(mut inner) = child.mark() {
                    let more = drain(&mut inner, batch);
                    inner.let_go().leave();
                    if more {
                        return true;
                    }
                }
                drop(head.hand_over(Some(Token::All))); // a waker that does nothing
            }
        }
    }
    true
}

/// The token of a link, null for a waiter.
#[inline(always)]
fn below(head: &Head<'_, '_>) -> Option<*const CancelToken> {
    // SAFETY: I3: both kinds of waits that a token's list has say `Below` in their header.
    let reach = unsafe { head.header::<Below>() }?;
    // SAFETY: I3: the header of a link reaches its own token.
    let token = unsafe { reach(head.address()) };
    debug_assert!(!ptr::eq(token, ptr::null()));
    Some(token)
}

impl Default for CancelToken {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for CancelToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = self.list.guess();
        f.debug_struct("CancelToken")
            .field("cancelled", &word.bits().has(CANCELLED))
            .field("waiters", &!word.is_empty())
            .finish()
    }
}

pub(super) struct CancelSource<H>(H);

impl<H: Handle<Target = CancelToken>> Source for CancelSource<H> {
    const VERB: &'static str = "CancelToken::cancelled";

    type Output = ();
    type Header = Below;

    fn header(&self) -> Below {
        None
    }

    #[inline(always)]
    fn list(&self) -> &WaitList {
        &self.0.list
    }

    #[inline(always)]
    fn admit(&self, bits: Bits) -> Admit {
        admit(bits)
    }

    #[inline(always)]
    fn settle(&self, held: Held<'_>) {
        self.0.settle(held);
    }

    #[inline(always)]
    fn finish(&self, _: Token) -> Option<()> {
        Some(())
    }

    fn give_back(&self, _: Token) {} // everybody was told
}

/// I1.
#[inline(always)]
fn admit(bits: Bits) -> Admit {
    if bits.has(CANCELLED) { Admit::Take(bits) } else { Admit::Wait }
}

wait_future! {
    /// The future of [`CancelToken::cancelled`].
    pub struct CancelWait[H: Handle<Target = CancelToken>][H: Handle<Target = CancelToken>][H](CancelSource<H>) -> ()
}

/// What was asked for was cancelled: there is no value.
///
/// # Examples
/// ```
/// assert_eq!(testudo::task::Cancelled.to_string(), "cancelled");
/// ```
#[doc(alias = "CancelledError")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cancelled;

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cancelled")
    }
}

impl Error for Cancelled {}
