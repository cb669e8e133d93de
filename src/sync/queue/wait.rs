//! The futures of a queue.
// CANCEL      put: the item is dropped with the future, and was not put. get: nothing is taken before the poll that returns it.
//             A poll that a waker made panic in between has put, or got: the next poll says so. A get that is dropped then
//             gives the item back.
use core::{
    fmt,
    future::Future,
    ops::Deref,
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::{FusedFuture, FusedStream, Stream};
use pin_project_lite::pin_project;

use super::{
    Buffer, Closed,
    buffer::{Got, Nothing, Refused, Room, Shared},
    ring::Pocket,
};
use crate::{
    sys::Panics,
    wait::{Handle, InLine, InLinePolicy, POLLED_AFTER_COMPLETION, Place, Wait, wait_future},
};

type Queue<H> = <H as Deref>::Target;
type Item<H> = <Queue<H> as Buffer>::Item;
type Store<H> = <Queue<H> as Buffer>::Store;

pub(super) struct Putting<H: Handle<Target: Buffer>> {
    handle: H,
    pocket: Pocket<Item<H>>,
}

impl<H: Handle<Target: Buffer>> InLinePolicy for Putting<H> {
    const VERB: &'static str = "Queue::put";

    type Stock = Room<Store<H>>;
    type Output = Result<(), Closed<Item<H>>>;

    #[inline(always)]
    fn stock(&self) -> &Room<Store<H>> {
        self.handle.shared().room()
    }

    #[inline(always)]
    fn need(&self) {}

    #[inline(always)]
    fn try_take(&self, place: Place) -> bool {
        match self.stock().begin(place, &self.pocket) {
            Ok(()) => {
                self.pocket.begin();
                true
            }
            Err(Refused::Full) => false,
            Err(Refused::Closed) => true,
        }
    }

    #[inline(always)]
    fn try_at_once(&self, place: Place) -> Option<Option<Self::Output>> {
        let taken = self.try_take(place);
        let done = taken && self.pocket.is_empty() && !self.stock().has_getters_to_tell();
        taken.then(|| done.then_some(Ok(())))
    }

    #[inline(always)]
    fn finish(&self, _: bool) -> Self::Output {
        if self.pocket.has_begun() {
            self.handle.shared().end_put(&self.pocket);
            Ok(())
        } else {
            Err(Closed(self.pocket.take()))
        }
    }

    fn give_back(&self) {
        if self.pocket.has_begun() {
            let mut panics = Panics::new();
            panics.catch(|| self.handle.shared().end_put(&self.pocket));
            panics.resume();
        }
    }
}

wait_future! {
    /// The future of `Queue::put` and [`ArrayQueue::put`](super::ArrayQueue::put).
    pub struct Put[H: Handle<Target: Buffer>][H: Handle<Target: Buffer>][H](
        InLine<Putting<H>>
    ) -> Result<(), Closed<Item<H>>>
}

impl<H: Handle<Target: Buffer>> Put<H> {
    #[inline(always)]
    pub(super) fn new(handle: H, item: Item<H>) -> Self {
        Self { wait: Wait::new(InLine::new(Putting { handle, pocket: Pocket::with(item) }), false) }
    }
}

pub(super) struct Getting<H: Handle<Target: Buffer>> {
    handle: H,
    pocket: Pocket<Item<H>>,
}

impl<H: Handle<Target: Buffer>> InLinePolicy for Getting<H> {
    const VERB: &'static str = "Queue::get";

    type Stock = super::buffer::Items<Store<H>>;
    type Output = Result<Item<H>, Closed>;

    #[inline(always)]
    fn stock(&self) -> &Self::Stock {
        self.handle.shared().items()
    }

    #[inline(always)]
    fn need(&self) {}

    #[inline(always)]
    fn try_take(&self, place: Place) -> bool {
        match self.stock().begin(place, &self.pocket) {
            Ok(()) => {
                self.pocket.begin();
                true
            }
            Err(Nothing::Empty) => false,
            Err(Nothing::Drained) => true,
        }
    }

    #[inline(always)]
    fn try_at_once(&self, place: Place) -> Option<Option<Self::Output>> {
        match self.handle.shared().get_at_once(place, &self.pocket) {
            Got::Item(item) => Some(Some(Ok(item))),
            Got::Begun => Some(None),
            Got::Nothing(Nothing::Empty) => None,
            Got::Nothing(Nothing::Drained) => Some(Some(Err(Closed(())))),
        }
    }

    #[inline(always)]
    fn finish(&self, _: bool) -> Self::Output {
        if !self.pocket.has_begun() {
            return Err(Closed(()));
        }
        self.handle.shared().end_get(&self.pocket);
        Ok(self.pocket.take())
    }

    fn give_back(&self) {
        if self.pocket.has_begun() {
            self.handle.shared().undo_get(&self.pocket);
        }
    }
}

wait_future! {
    /// The future of `Queue::get` and [`ArrayQueue::get`](super::ArrayQueue::get).
    pub struct Get[H: Handle<Target: Buffer>][H: Handle<Target: Buffer>][H](
        InLine<Getting<H>>
    ) -> Result<Item<H>, Closed>
}

impl<H: Handle<Target: Buffer>> Get<H> {
    #[inline(always)]
    pub(super) fn new(handle: H) -> Self {
        Self { wait: Wait::new(InLine::new(Getting { handle, pocket: Pocket::empty() }), false) }
    }
}

pub(super) struct Joining<H> {
    handle: H,
    need: usize,
}

impl<H: Handle<Target: Buffer>> InLinePolicy for Joining<H> {
    const VERB: &'static str = "Queue::join";

    type Stock = Shared<Store<H>>;
    type Output = ();

    fn stock(&self) -> &Self::Stock {
        self.handle.shared()
    }

    fn need(&self) -> usize {
        self.need
    }

    fn try_take(&self, _: Place) -> bool {
        self.stock().is_settled(self.need)
    }

    fn finish(&self, _: bool) {}

    fn give_back(&self) {} // everybody was told
}

wait_future! {
    /// The future of `Queue::join` and [`ArrayQueue::join`](super::ArrayQueue::join).
    pub struct QueueJoin[H: Handle<Target: Buffer>][H: Handle<Target: Buffer>][H](InLine<Joining<H>>) -> ()
}

impl<H: Handle<Target: Buffer>> QueueJoin<H> {
    pub(super) fn new(handle: H) -> Self {
        let need = handle.shared().joins();
        Self { wait: Wait::new(InLine::new(Joining { handle, need }), false) }
    }
}

pin_project! {
    /// The future of `Queue::put_all` and [`ArrayQueue::put_all`](super::ArrayQueue::put_all).
    #[must_use = "futures do nothing unless polled"]
    pub struct PutAll<H, I>
    where
        H: Handle,
        H::Target: Buffer,
    {
        handle: H,
        items: I,
        count: usize,
        ended: bool,
        #[pin]
        put: Option<Put<H>>,
    }
}

impl<H: Handle<Target: Buffer>, I: Iterator<Item = Item<H>>> PutAll<H, I> {
    pub(super) fn new(handle: H, items: I) -> Self {
        Self { handle, items, count: 0, ended: false, put: None }
    }
}

impl<H: Handle<Target: Buffer>, I: Iterator<Item = Item<H>>> Future for PutAll<H, I> {
    type Output = Result<usize, Closed<Item<H>>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        assert!(!*this.ended, "{POLLED_AFTER_COMPLETION}");
        loop {
            if let Some(put) = this.put.as_mut().as_pin_mut() {
                let Poll::Ready(done) = put.poll(cx) else { return Poll::Pending };
                this.put.set(None);
                if let Err(closed) = done {
                    *this.ended = true;
                    return Poll::Ready(Err(closed));
                }
                *this.count += 1;
            }
            match this.items.next() {
                Some(item) => this.put.set(Some(Put::new(this.handle.clone(), item))),
                None => {
                    *this.ended = true;
                    return Poll::Ready(Ok(*this.count));
                }
            }
        }
    }
}

impl<H: Handle<Target: Buffer>, I: Iterator<Item = Item<H>>> FusedFuture for PutAll<H, I> {
    fn is_terminated(&self) -> bool {
        self.ended
    }
}

impl<H: Handle<Target: Buffer>, I> fmt::Debug for PutAll<H, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PutAll").field("count", &self.count).field("put", &self.put).finish_non_exhaustive()
    }
}

pin_project! {
    /// The stream of `Queue::stream` and [`ArrayQueue::stream`](super::ArrayQueue::stream).
    #[must_use = "streams do nothing unless polled"]
    pub struct QueueStream<H>
    where
        H: Handle,
        H::Target: Buffer,
    {
        handle: H,
        #[pin]
        get: Option<Get<H>>,
    }
}

impl<H: Handle<Target: Buffer>> QueueStream<H> {
    pub(super) fn new(handle: H) -> Self {
        Self { handle, get: None }
    }
}

impl<H: Handle<Target: Buffer>> Stream for QueueStream<H> {
    type Item = Item<H>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Item<H>>> {
        let mut this = self.project();
        if this.get.is_none() {
            this.get.set(Some(Get::new(this.handle.clone())));
        }
        let Some(get) = this.get.as_mut().as_pin_mut() else { unreachable!("set above") };
        let Poll::Ready(got) = get.poll(cx) else { return Poll::Pending };
        this.get.set(None);
        Poll::Ready(got.ok())
    }
}

impl<H: Handle<Target: Buffer>> FusedStream for QueueStream<H> {
    fn is_terminated(&self) -> bool {
        self.get.is_none() && self.handle.shared().is_drained()
    }
}

impl<H: Handle<Target: Buffer>> fmt::Debug for QueueStream<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueStream").field("get", &self.get).finish_non_exhaustive()
    }
}
