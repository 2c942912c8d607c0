//! Functions of the global scope, which windows and workers share.

use std::{cell::Cell, time::Duration};

use enginewire::Time;
use js_sys::{Date, Function, Promise, Reflect};
use wasm_bindgen::prelude::*;
use web_sys::{EventTarget, Performance, Request};

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = fetch)]
    pub(crate) fn fetch(request: &Request) -> Promise;

    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(callback: &Function, millis: i32) -> JsValue;

    #[wasm_bindgen(js_name = clearTimeout)]
    fn clear_timeout(timer: &JsValue);

    #[wasm_bindgen(thread_local_v2, js_name = performance)]
    static PERFORMANCE: Performance;
}

thread_local! {
    static CLOCK: Cell<Clock> = const { Cell::new(Clock { wall_at_zero: None, asleep: 0.0 }) };
}

/// Returns the time since the page or worker was opened, in which the machine may have slept. Never goes backwards.
pub(crate) fn now() -> Time {
    let mut clock = CLOCK.get();
    let millis = clock.tell(PERFORMANCE.with(Performance::now), Date::now());
    CLOCK.set(clock);
    Time::ZERO + Duration::try_from_secs_f64(millis / 1000.0).unwrap_or_default()
}

/// A clock that goes on while the machine sleeps, which `performance.now()` does not in all browsers.
///
/// The wall clock does, and can be set: a step of it counts as sleep only if it is forward.
#[derive(Clone, Copy)]
struct Clock {
    /// Wall clock at the start of the other clock, in milliseconds.
    wall_at_zero: Option<f64>,
    /// Milliseconds for which the other has stood still.
    asleep: f64,
}

impl Clock {
    /// Returns the time, by that of both clocks. All are in milliseconds.
    fn tell(&mut self, ticks: f64, wall: f64) -> f64 {
        let wall_at_zero = wall - ticks;
        let step = wall_at_zero - *self.wall_at_zero.get_or_insert(wall_at_zero);
        // Less is how clocks differ that are set slowly.
        if step.abs() > 1000.0 {
            self.wall_at_zero = Some(wall_at_zero);
            self.asleep += step.max(0.0);
        }
        ticks + self.asleep
    }
}

/// Fills `buffer` with bytes that cannot be guessed.
#[expect(
    clippy::expect_used,
    reason = "sessions are not to be guessed, and every browser has them"
)]
pub(crate) fn fill_random(buffer: &mut [u8]) {
    getrandom::fill(buffer).expect("the browser gives random bytes");
}

/// Returns the target of events of the page or worker.
pub(crate) fn events() -> EventTarget {
    js_sys::global().unchecked_into()
}

/// Returns the origin of the page or worker. Empty if it has none.
pub(crate) fn origin() -> String {
    let location = Reflect::get(&js_sys::global(), &"location".into());
    let origin = location.and_then(|location| Reflect::get(&location, &"origin".into()));
    origin.ok().and_then(|origin| origin.as_string()).unwrap_or_default()
}

/// One timer, which calls a function of JavaScript.
#[derive(Default)]
pub(crate) struct Timer {
    armed: Option<(Time, JsValue)>,
}

impl Timer {
    /// Has `callback` called at `due`, or not at all.
    pub(crate) fn set(&mut self, now: Time, due: Option<Time>, callback: &Function) {
        if self.armed.as_ref().map(|(armed, _)| *armed) == due {
            return;
        }
        self.clear();
        self.armed = due.map(|due| (due, set_timeout(callback, millis(due.since(now)))));
    }

    /// Notes that the timer has expired.
    pub(crate) fn expire(&mut self) {
        self.armed = None;
    }

    fn clear(&mut self) {
        if let Some((_, timer)) = self.armed.take() {
            clear_timeout(&timer);
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Converts a delay to whole milliseconds, rounded up. A longer one than a timer can have is cut.
fn millis(delay: Duration) -> i32 {
    i32::try_from(delay.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clock_goes_on_while_the_machine_sleeps_and_never_back() {
        let mut clock = Clock { wall_at_zero: None, asleep: 0.0 };
        for (ticks, wall, expected) in [
            (5.0, 1_000_005.0, 5.0),
            (100.0, 1_000_150.0, 100.0),
            // An hour of sleep.
            (200.0, 4_600_200.0, 3_600_200.0),
            (300.0, 4_600_300.0, 3_600_300.0),
            // The wall clock is set back, and then by sleep once more.
            (400.0, 400.0, 3_600_400.0),
            (500.0, 60_500.0, 3_660_500.0),
        ] {
            let told = clock.tell(ticks, wall);
            assert!((told - expected).abs() < 0.001, "{told} instead of {expected}");
        }
    }

    #[test]
    fn delay_is_rounded_up_and_cut_to_what_a_timer_can_have() {
        for (delay, expected) in [
            (Duration::ZERO, 0),
            (Duration::from_nanos(1), 1),
            (Duration::from_millis(25), 25),
            (Duration::from_micros(25_001), 26),
            (Duration::MAX, i32::MAX),
        ] {
            assert_eq!(millis(delay), expected, "{delay:?}");
        }
    }
}
