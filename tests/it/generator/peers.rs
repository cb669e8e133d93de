//! Defects that were reproduced in other generators, and one that their users run into.
use super::*;

/// asynk-strim 0.1.5 knows a stream by its address: an emitter that leaked out of a dead stream forged an item of another
/// type in a new one at that address, from safe code. Here it cannot leak (a compile error, see `Emitter`); and a
/// generator that takes the place of another gives its own items.
#[test]
fn p4_generator_at_the_address_of_another_gives_its_own_items() {
    let probe = Probe::new();
    let mut addresses = vec![];
    let mut texts = vec![];
    for round in 0..3_usize {
        if round == 1 {
            let mut numbers = pin!(generator(async |mut y: Emitter<'_, usize>| y.emit(0xdead).await));
            addresses.push((&raw const *numbers).addr());
            assert_eq!(poll(&probe, &mut numbers), Poll::Ready(Some(0xdead)));
        } else {
            let mut boxes = pin!(generator(async |mut y| y.emit(Box::new(round)).await));
            addresses.push((&raw const *boxes).addr());
            let Poll::Ready(Some(item)) = poll(&probe, &mut boxes) else { panic!("no item") };
            texts.push(*item);
        }
    }
    assert_eq!(texts, [0, 2]);
    assert_eq!(addresses.len(), 3);
}

/// async-fn-stream 0.3.2 gave [2, 1, 3]. One emitter is borrowed by one emit; this is as close as a body can come to two.
#[test]
fn p5_an_emit_dropped_after_its_poll_is_delivered_and_the_next_one_waits_its_turn() {
    let probe = Probe::new();
    let mut numbers = pin!(generator(async |mut y| {
        let mut one = Box::pin(y.emit(1));
        assert!(poll_fn(|cx| Poll::Ready(one.as_mut().poll(cx).is_pending())).await);
        drop(one);
        y.emit(2).await?;
        y.emit(3).await
    }));
    let mut seen = vec![];
    while let Poll::Ready(Some(n)) = poll(&probe, &mut numbers) {
        seen.push(n);
    }
    assert_eq!(seen, [1, 2, 3]);
    assert!(numbers.is_terminated());
}

/// async-fn-stream 0.3.2 lost the item, and panicked when polled after the end.
#[test]
fn p5_an_item_emitted_in_the_poll_in_which_the_body_returns_is_delivered() {
    let probe = Probe::new();
    let mut numbers = pin!(generator(async |mut y| {
        let mut one = pin!(y.emit(1));
        assert!(poll_fn(|cx| Poll::Ready(one.as_mut().poll(cx).is_pending())).await);
        Ok(())
    }));
    assert_eq!(poll(&probe, &mut numbers), Poll::Ready(Some(1)));
    assert!(numbers.is_terminated());
    assert_eq!(poll(&probe, &mut numbers), Poll::Ready(None));
    assert_eq!(poll(&probe, &mut numbers), Poll::Ready(None));
}

/// The same with an error right behind it: both come.
#[test]
fn p5_an_item_and_the_error_after_it_are_both_delivered() {
    let probe = Probe::new();
    let mut numbers = pin!(try_generator(async |mut y| {
        let mut one = Box::pin(y.emit(1));
        assert!(poll_fn(|cx| Poll::Ready(one.as_mut().poll(cx).is_pending())).await);
        Err(Stop::Failed("then"))
    }));
    assert_eq!(poll(&probe, &mut numbers), Poll::Ready(Some(Ok(1))));
    assert!(!numbers.is_terminated());
    assert_eq!(poll(&probe, &mut numbers), Poll::Ready(Some(Err("then"))));
    assert_eq!(poll(&probe, &mut numbers), Poll::Ready(None));
}

/// async-stream#106: a `yield` within a nested stream went to the outer one, as another type.
#[test]
fn p9_nested_generators_keep_their_items_apart() {
    let probe = Probe::new();
    let mut outer = pin!(generator(async |mut y| {
        let mut inner = pin!(generator(async |mut z| {
            for n in 1..=3_u64 {
                z.emit(n).await?;
            }
            Ok(())
        }));
        while let Some(n) = next(&mut inner).await {
            y.emit(format!("item {n}")).await?;
        }
        Ok(())
    }));
    for n in 1..=3 {
        assert_eq!(poll(&probe, &mut outer), Poll::Ready(Some(format!("item {n}"))));
    }
    assert_eq!(poll(&probe, &mut outer), Poll::Ready(None));
}

/// The inner body has both emitters, of the same item type.
#[test]
fn p9_an_inner_body_may_use_the_outer_emitter() {
    let probe = Probe::new();
    let mut outer = pin!(generator(async |mut y| {
        let mut inner = pin!(generator(async |mut z| {
            y.emit(10).await.ok();
            z.emit(1).await?;
            y.emit(20).await.ok();
            z.emit(2).await
        }));
        let mut own = vec![];
        while let Some(n) = next(&mut inner).await {
            own.push(n);
        }
        assert_eq!(own, [1, 2]);
        Ok(())
    }));
    assert_eq!(poll(&probe, &mut outer), Poll::Ready(Some(10)));
    assert_eq!(poll(&probe, &mut outer), Poll::Ready(Some(20)));
    assert_eq!(poll(&probe, &mut outer), Poll::Ready(None));
}

/// A `next` in the arm of a select that loses, as in iroh#2572 and others: nothing is lost, because what was computed
/// stays in the generator.
#[test]
fn p13_next_in_a_losing_arm_loses_no_item() {
    let probe = Probe::new();
    let mut numbers = pin!(generator(async |mut y| {
        for n in 0..3 {
            pause().await;
            y.emit(n).await?;
        }
        Ok(())
    }));
    let (mut seen, mut lost) = (vec![], 0);
    loop {
        let mut select = {
            let mut item = next(&mut numbers);
            let mut other = Box::pin(ready(()));
            Box::pin(poll_fn(move |cx| match Pin::new(&mut item).poll(cx) {
                Poll::Ready(item) => Poll::Ready(Ok(item)),
                Poll::Pending => other.as_mut().poll(cx).map(Err),
            }))
        };
        match probe.ready(&mut select) {
            Ok(Some(n)) => seen.push(n),
            Ok(None) => break,
            Err(()) => lost += 1,
        }
    }
    assert_eq!((seen, lost), (vec![0, 1, 2], 3));
}
