//! After every single instruction: the processor's trap flag calls the handler after each one, and at one of them it
//! signals; then the same again for the next. Two waits or three, so that the operation takes the list flag.
//!
//! A trap may take as long as ten thousand instructions: only a few are tried unless `TESTUDO_SIGNAL_SECS` is set.
use std::{
    arch::asm,
    env,
    pin::{Pin, pin},
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
};

use libc::{c_int, c_void, siginfo_t, ucontext_t};
use testudo::{
    Condition, Event, Mutex,
    sync::{ConditionWaitFor, EventWait, Lock},
};

use crate::{flag::Flag, install};

static EVENT: Event = Event::new();
static LOCK: Mutex<()> = Mutex::new(());
static CONDITION: Condition<bool> = Condition::new(false);
static FLAGS: [Flag; 4] = [const { Flag::new() }; 4];

/// Instructions since the trap flag was set, and the one after which to act.
static COUNT: AtomicUsize = AtomicUsize::new(0);
static AT: AtomicUsize = AtomicUsize::new(0);
static ACTION: AtomicUsize = AtomicUsize::new(0);
/// How often the handler got the condition's lock and notified one.
static NOTIFIED: AtomicUsize = AtomicUsize::new(0);
const TRAP_FLAG: i64 = 0x100;

mod stock;

/// What the handler does.
const ACTIONS: [fn(); 10] = [
    || EVENT.set(),
    || {
        EVENT.set();
        EVENT.clear();
    },
    || drop(LOCK.try_lock()),
    || {
        if let Some(guard) = CONDITION.try_lock() {
            CONDITION.notify(&guard, 1);
            NOTIFIED.fetch_add(1, SeqCst);
        }
    },
    stock::add_permit,
    stock::borrow_permit,
    stock::array::put,
    stock::array::get,
    stock::heap::put,
    stock::heap::get,
];
const SET: usize = 0;
const SET_AND_CLEAR: usize = 1;
const BARGE: usize = 2;
const NOTIFY: usize = 3;
const ADD_PERMIT: usize = 4;
const BORROW_PERMIT: usize = 5;
const SLOTS_PUT: usize = 6; // and get
const BUFFER_PUT: usize = 8; // and get

extern "C" fn handler(_: c_int, _: *mut siginfo_t, context: *mut c_void) {
    if COUNT.fetch_add(1, SeqCst) + 1 == AT.load(SeqCst) {
        ACTIONS[ACTION.load(SeqCst)]();
        // SAFETY: with SA_SIGINFO it is a valid `ucontext_t`, which nobody else has.
        let context = unsafe { &mut *context.cast::<ucontext_t>() };
        // The rest of it at full speed.
        context.uc_mcontext.gregs[libc::REG_EFL as usize] &= !TRAP_FLAG;
    }
}

/// Runs `op`, and in its midst the action, after instruction number `at`. Says how many instructions were seen.
#[inline(never)]
fn interrupted(at: usize, action: usize, op: impl FnOnce()) -> usize {
    COUNT.store(0, SeqCst);
    AT.store(at, SeqCst);
    ACTION.store(action, SeqCst);
    // SAFETY: the trap flag is all that it changes; a trap calls `handler`, which keeps every register.
    unsafe { asm!("pushfq", "or qword ptr [rsp], 0x100", "popfq") };
    op();
    // SAFETY: as above.
    unsafe { asm!("pushfq", "and qword ptr [rsp], -0x101", "popfq") };
    COUNT.load(SeqCst)
}

fn thorough() -> bool {
    env::var_os("TESTUDO_SIGNAL_SECS").is_some()
}

/// Runs `case` with an action after each instruction in turn; `case` says how many it saw.
fn at_every_instruction(name: &str, mut case: impl FnMut(usize) -> usize) {
    // SAFETY: it kills this process if the case hangs, and nobody else here uses the alarm.
    unsafe { libc::alarm(300) };
    let all = case(usize::MAX);
    assert!(all > 10, "no traps");
    let step = if thorough() { 1 } else { all / 2 };
    let tried = (1..).step_by(step).take_while(|&at| case(at) == at).count();
    println!("{name}: after {tried} of {all} instructions");
    assert!(tried * step >= all / 2);
    // SAFETY: as above; it is over.
    unsafe { libc::alarm(0) };
}

/// An operation on one of a line of three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    /// Its first poll, so many being in line before it.
    Begin(usize),
    /// Another poll, with that flag as its waker.
    Again(usize, usize),
    Cancel(usize),
    /// `set`, or a notification and the drop of the guard.
    Signal,
}

/// The first three will do for a start.
const OPS: [Op; 10] = [
    Op::Begin(2),
    Op::Again(1, 3),
    Op::Cancel(1),
    Op::Begin(0),
    Op::Again(0, 0),
    Op::Again(0, 3),
    Op::Again(2, 3),
    Op::Cancel(0),
    Op::Cancel(2),
    Op::Signal,
];

impl Op {
    fn in_line(self) -> usize {
        if let Op::Begin(others) = self { others } else { 3 }
    }

    /// Which one it is about, and its flag afterwards.
    fn subject(self) -> Option<(usize, usize)> {
        match self {
            Op::Begin(others) => Some((others, others)),
            Op::Again(nth, flag) => Some((nth, flag)),
            Op::Cancel(nth) => Some((nth, nth)),
            Op::Signal => None,
        }
    }

    /// The flags of the three afterwards.
    fn flags(self) -> [&'static Flag; 3] {
        let mut flags = [0, 1, 2];
        if let Some((nth, flag)) = self.subject() {
            flags[nth] = flag;
        }
        flags.map(|flag| &FLAGS[flag])
    }
}

fn event_case(at: usize, action: usize, op: Op) -> usize {
    let mut line: [Pin<&mut Option<EventWait<_>>>; 3] = [pin!(None), pin!(None), pin!(None)];
    for nth in 0..op.in_line() {
        line[nth].set(Some(EVENT.wait()));
        assert!(FLAGS[nth].poll(line[nth].as_mut().as_pin_mut().unwrap()).is_none());
    }
    let mut ready = false;
    let seen = match op {
        Op::Begin(nth) | Op::Again(nth, _) => {
            if line[nth].is_none() {
                line[nth].set(Some(EVENT.wait()));
            }
            let (wait, flag) = (line[nth].as_mut().as_pin_mut().unwrap(), op.flags()[nth]);
            interrupted(at, action, || ready = flag.poll(wait).is_some())
        }
        Op::Cancel(nth) => interrupted(at, action, || line[nth].set(None)),
        Op::Signal => interrupted(at, action, || EVENT.set()),
    };
    let acted = seen == at;
    let released = usize::from(acted || op == Op::Signal);
    for (nth, flag) in FLAGS.iter().enumerate().take(op.in_line()) {
        match op.subject() {
            Some((subject, _)) if nth == subject => {}
            _ => assert_eq!(flag.wakes(), released, "{op:?}, {at}"),
        }
    }
    if let (Op::Begin(nth) | Op::Again(nth, _), false) = (op, ready) {
        // Where it is cleared at once, a wait may be too late to be found.
        let found = op.flags()[nth].wakes();
        let may_be_late = action == SET_AND_CLEAR && matches!(op, Op::Begin(_));
        assert!(found == released || may_be_late && found == 0, "{op:?}, {at}");
    }
    assert!(acted || !ready);
    // Everybody is released in the end, and was woken once.
    EVENT.set();
    for (nth, (mut wait, flag)) in line.into_iter().zip(op.flags()).enumerate() {
        let was_ready = ready && op.subject().is_some_and(|(subject, _)| subject == nth);
        if let Some(wait) = wait.as_mut().as_pin_mut().filter(|_| !was_ready) {
            assert_eq!(flag.wakes(), 1, "{op:?}, {at}");
            assert!(flag.poll(wait).is_some());
        }
    }
    EVENT.clear();
    seen
}

/// `free`: the lock has been offered before the operation.
fn lock_case(at: usize, free: bool, op: Op) -> usize {
    let mut guard = LOCK.try_lock();
    assert!(guard.is_some());
    let mut line: [Pin<&mut Option<Lock<_>>>; 3] = [pin!(None), pin!(None), pin!(None)];
    for nth in 0..op.in_line() {
        line[nth].set(Some(LOCK.lock()));
        assert!(FLAGS[nth].poll(line[nth].as_mut().as_pin_mut().unwrap()).is_none());
    }
    if free {
        guard = None;
    }
    let mut got = None;
    let seen = match op {
        Op::Begin(nth) | Op::Again(nth, _) => {
            if line[nth].is_none() {
                line[nth].set(Some(LOCK.lock()));
            }
            let (lock, flag) = (line[nth].as_mut().as_pin_mut().unwrap(), op.flags()[nth]);
            let seen = interrupted(at, BARGE, || got = flag.poll(lock));
            if got.is_some() {
                line[nth].set(None);
            }
            seen
        }
        Op::Cancel(nth) => interrupted(at, BARGE, || line[nth].set(None)),
        Op::Signal => interrupted(at, BARGE, || guard = None),
    };
    drop((guard, got));
    // Everybody gets it, one after the other, and was woken once.
    for (mut lock, flag) in line.into_iter().zip(op.flags()) {
        if let Some(lock) = lock.as_mut().as_pin_mut() {
            assert_eq!(flag.wakes(), 1, "{op:?}, {at}");
            assert!(flag.poll(lock).is_some(), "{op:?}, {at}");
        }
    }
    assert!(!LOCK.is_locked());
    seen
}

/// The first waits for what never holds, the others for the data to be true. One is notified before the operation.
fn condition_case(at: usize, op: Op) -> usize {
    type Predicate = fn(&bool) -> bool;
    let predicate = |nth| -> Predicate { if nth == 0 { |_| false } else { |data| *data } };
    let mut line: [Pin<&mut Option<ConditionWaitFor<_, Predicate>>>; 3] = [pin!(None), pin!(None), pin!(None)];
    for nth in 0..op.in_line() {
        line[nth].set(Some(CONDITION.wait_for(CONDITION.try_lock().unwrap(), predicate(nth))));
        assert!(FLAGS[nth].poll(line[nth].as_mut().as_pin_mut().unwrap()).is_none());
    }
    NOTIFIED.store(0, SeqCst);
    let mut guard = CONDITION.try_lock().unwrap();
    *guard = true;
    CONDITION.notify(&guard, 1);
    let mut got = None;
    let seen = match op {
        Op::Begin(nth) => {
            line[nth].set(Some(CONDITION.wait_for(guard, predicate(0))));
            let wait = line[nth].as_mut().as_pin_mut().unwrap();
            interrupted(at, NOTIFY, || got = FLAGS[nth].poll(wait))
        }
        Op::Again(nth, flag) => {
            drop(guard);
            let wait = line[nth].as_mut().as_pin_mut().unwrap();
            interrupted(at, NOTIFY, || got = FLAGS[flag].poll(wait))
        }
        Op::Cancel(nth) => {
            drop(guard);
            interrupted(at, NOTIFY, || line[nth].set(None))
        }
        Op::Signal => interrupted(at, NOTIFY, || {
            CONDITION.notify(&guard, 1);
            drop(guard);
        }),
    };
    let mut done = usize::from(got.is_some());
    if let (Some(_), Some((subject, _))) = (got.take(), op.subject()) {
        line[subject].set(None);
    }
    let can_go_on = (1..op.in_line()).filter(|nth| op != Op::Cancel(*nth)).count();
    let told = 1 + usize::from(op == Op::Signal) + NOTIFIED.load(SeqCst);
    // As an executor does: polls who was woken, until there is none.
    let mut polls = 0;
    while let Some(nth) = (0..3).find(|&nth| line[nth].is_some() && op.flags()[nth].is_woken()) {
        if op.flags()[nth].poll(line[nth].as_mut().as_pin_mut().unwrap()).is_some() {
            line[nth].set(None);
            done += 1;
        }
        polls += 1;
        assert!(polls < 10, "{op:?}, {at}: woken for nothing");
    }
    assert_eq!(done, told.min(can_go_on), "{op:?}, {at}");
    line.into_iter().for_each(|mut wait| wait.set(None));
    *CONDITION.try_lock().unwrap() = false;
    seen
}

#[test]
fn a_signal_handler_signals_after_every_instruction() {
    install(libc::SIGTRAP, handler);
    for &op in if thorough() { &OPS[..] } else { &OPS[..3] } {
        at_every_instruction(&format!("Event, {op:?}, set"), |at| event_case(at, SET, op));
        at_every_instruction(&format!("Event, {op:?}, set and clear"), |at| event_case(at, SET_AND_CLEAR, op));
        if !matches!(op, Op::Begin(0)) {
            at_every_instruction(&format!("Condition, {op:?}"), |at| condition_case(at, op));
        }
        at_every_instruction(&format!("Mutex, {op:?}"), |at| lock_case(at, false, op));
        if op != Op::Signal {
            at_every_instruction(&format!("Mutex, {op:?}, free"), |at| lock_case(at, true, op));
        }
        stock::cases(op);
    }
}
