//! Sizes, and Send, Sync and Unpin in both directions, of shelters, shields and guards.
use core::{
    cell::Cell,
    future::{Pending, Ready, ready},
};
use std::rc::Rc;

use futures_core::FusedFuture;
use static_assertions::{assert_impl_all, assert_not_impl_any};
use testudo::{
    flow::{Close, Exit, ExitStack, Guard},
    task::{
        Cancelled, Drain, GroupRun, Local, LocalShelter, Reserved, Run, Sendable, Shelter, ShelterArray, Shield,
        Shielded, TaskGroup,
    },
};

type Neither = Rc<u8>;
type SendNotSync = Cell<u8>;
type Release<R> = fn(R, Exit) -> Ready<()>;

#[cfg(target_pointer_width = "64")]
#[test]
fn sizes() {
    assert!(size_of::<Shelter<'static>>() <= 144, "{}", size_of::<Shelter<'static>>());
    assert!(size_of::<Shielded<'static, [u64; 9]>>() <= 80, "{}", size_of::<Shielded<'static, [u64; 9]>>());
    assert!(size_of::<Shield<[u64; 9]>>() <= 80);
    let place = size_of::<ShelterArray<Ready<u64>, 2>>() - size_of::<ShelterArray<Ready<u64>, 1>>();
    assert!(place <= 72 + 16, "{place}");
    assert!(size_of::<Guard<u64, Release<u64>, Ready<()>, &Shelter<'static>>>() <= 32);
}

#[test]
fn a_shelter_is_send_and_sync_and_a_local_one_neither() {
    assert_impl_all!(Shelter<'static>: Send, Sync, Unpin);
    assert_not_impl_any!(LocalShelter<'static>: Send, Sync);
    assert_impl_all!(ShelterArray<Ready<SendNotSync>, 1>: Send, Sync);
    assert_not_impl_any!(ShelterArray<Ready<Neither>, 1>: Send, Sync);
    assert_not_impl_any!(ShelterArray<Pending<Neither>, 1>: Send, Sync);
    assert_not_impl_any!(ShelterArray<Ready<u8>, 1>: Unpin);
}

#[test]
fn handles_are_send_and_sync_if_results_and_futures_are_send() {
    assert_impl_all!(Shielded<'static, SendNotSync>: Send, Sync, FusedFuture);
    assert_not_impl_any!(Shielded<'static, Neither>: Send, Sync);
    assert_not_impl_any!(Shielded<'static, u8>: Unpin);
    assert_impl_all!(Shielded<'static, u8, Ready<u8>>: Send, Sync);
    assert_not_impl_any!(Shielded<'static, u8, Neither>: Send, Sync);
    assert_impl_all!(Shield<SendNotSync>: Send, Sync, FusedFuture);
    assert_not_impl_any!(Shield<Neither>: Send, Sync, Unpin);
}

#[test]
fn keepers_are_send_if_the_body_and_what_they_keep_are() {
    assert_impl_all!(Drain<'static>: Send, FusedFuture);
    assert_impl_all!(Run<'static, Ready<SendNotSync>>: Send, FusedFuture);
    assert_not_impl_any!(Run<'static, Ready<Neither>>: Send);
    assert_not_impl_any!(Drain<'static, (Ready<Neither>, Neither)>: Send);
    assert_not_impl_any!(Drain<'static>: Unpin);
}

#[test]
fn a_sheltered_group_is_send_if_both_are() {
    fn is_send(_: &impl Send) {}
    let shelter = Shelter::new();
    let tg = TaskGroup::<Cancelled>::new();
    is_send(&tg.run(ready(Ok(1))).sheltered_by(&shelter));
    type Body = Ready<Result<u8, Cancelled>>;
    assert_not_impl_any!(Run<'static, GroupRun<'static, Body, u8, Cancelled, Local>, Sendable>: Send);
    assert_not_impl_any!(Run<'static, Body, Local>: Send);
    assert_impl_all!(Run<'static, Body, Sendable>: Send);
}

#[test]
fn guards_are_send_if_resource_release_and_place_are() {
    assert_impl_all!(Guard<SendNotSync, Release<SendNotSync>, Ready<()>, &Shelter<'static>>: Send);
    assert_not_impl_any!(Guard<Neither, Release<Neither>, Ready<()>, &Shelter<'static>>: Send, Sync);
    assert_not_impl_any!(Guard<u8, Release<u8>, Ready<()>, &LocalShelter<'static>>: Send, Sync);
    assert_impl_all!(Reserved<'static, Ready<u8>>: Send, Sync);
    assert_not_impl_any!(Reserved<'static, Ready<Neither>>: Send, Sync);
    assert_impl_all!(ExitStack<'static, 'static>: Send);
    assert_not_impl_any!(ExitStack<'static, 'static, Local>: Send, Sync);
    assert_impl_all!(Close<Shielded<'static, ()>>: Send, FusedFuture);
}
