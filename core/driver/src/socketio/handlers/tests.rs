//! Tables and return values, without sockets.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use super::{answer::Sealed, handler::Entry, *};
use crate::socketio::{DisconnectReason, EmitError, Event, SocketRef};

/// Calls a handler of parts that do not matter, with a state.
fn call<S: 'static, M: 'static, H>(handler: H, state: &S) -> Result<bool, Rejection>
where
    H: Handler<u8, S, M, Future: Future<Output: IntoAnswer> + Send>,
{
    let call = pin!(Entry::new(handler).call(&mut 7, state, None)?);
    match call.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(stops) => Ok(stops),
        Poll::Pending => panic!("the handler waits"),
    }
}

/// An extractor of the parts above.
struct Number(u8);

impl<S> FromParts<u8, S> for Number {
    fn from_parts(parts: &mut u8, _: &S) -> Result<Self, Rejection> {
        *parts = parts.checked_sub(3).ok_or_else(|| Rejection::new("no number left"))?;
        Ok(Self(*parts))
    }
}

fn panics(work: impl FnOnce() -> Routes) -> String {
    let payload = catch_unwind(AssertUnwindSafe(work)).expect_err("no panic");
    payload.downcast_ref::<String>().cloned().unwrap_or_else(|| {
        payload.downcast_ref::<&str>().copied().unwrap_or("of another type").to_owned()
    })
}

#[test]
fn extractors_run_in_the_order_of_arguments_and_the_first_failure_counts() {
    let two = async |Number(a): Number, Number(b): Number| assert_eq!((a, b), (4, 1));
    assert!(!call(two, &()).unwrap());
    let three = async |_: Number, _: Number, Number(c): Number| assert_eq!(c, 0, "called");
    assert_eq!(call(three, &()).unwrap_err().to_string(), "no number left");
}

#[test]
fn state_is_taken_whole_or_in_parts() {
    struct App {
        name: &'static str,
    }

    impl FromRef<App> for &'static str {
        fn from_ref(app: &App) -> Self {
            app.name
        }
    }

    let part = async |State(name): State<&'static str>| assert_eq!(name, "app");
    call(part, &App { name: "app" }).unwrap();
    let whole = async |State(n): State<Arc<u32>>| assert_eq!(*n, 5);
    call(whole, &Arc::new(5)).unwrap();
}

#[test]
fn bound_handler_keeps_its_state_for_any_other() {
    let entry = Entry::<u8, u32>::new(async |State(n): State<u32>| assert_eq!(n, 5));
    let bound: Entry<u8, String> = entry.bind(&Arc::new(5));
    let call = bound.call(&mut 0, &String::new(), None).unwrap();
    let call = pin!(call);
    assert!(call.poll(&mut Context::from_waker(Waker::noop())).is_ready());
}

#[test]
fn replies_and_errors_stop_an_event_and_nothing_else_does() {
    assert!(!call(async || {}, &()).unwrap());
    assert!(!call(async || Ok::<(), Reply<u8>>(()), &()).unwrap());
    assert!(call(async || Err::<(), _>(Reply(1)), &()).unwrap());
    assert!(call(async || Reply(1), &()).unwrap());
    assert!(call(async || Err::<(), _>(EmitError::Disconnected), &()).unwrap());
}

#[test]
fn return_types_that_may_reply_take_the_acknowledgement() {
    const fn takes<T: Sealed>() -> bool {
        T::ACKNOWLEDGES
    }
    assert!(!takes::<()>() && !takes::<Result<(), EmitError>>());
    assert!(takes::<Reply<u8>>() && takes::<Result<(), Reply<u8>>>());
    assert!(takes::<Result<Reply<u8>, EmitError>>() && takes::<Result<Reply<u8>, Reply<u8>>>());
}

#[test]
#[expect(clippy::too_many_arguments, reason = "it is what is tested")]
fn handlers_take_up_to_eight_extractors() {
    async fn eight(
        _: Event,
        _: SocketRef,
        _: EventName,
        _: Data<()>,
        _: TryData<()>,
        _: super::super::Io,
        _: super::super::Ack,
        _: State<()>,
    ) {
    }
    let routes = Routes::<()>::new().on("eight", eight).on("none", async || {});
    assert_eq!(format!("{routes:?}"), r#"Routes { events: ["eight", "none"], .. }"#);
}

#[test]
fn names_that_are_taken_or_reserved_are_refused() {
    let taken = || Routes::new().on("a", async || {}).on("a", async || {});
    assert_eq!(panics(taken), "the event `a` has a handler already");
    let reserved = || Routes::new().on("disconnect", async || {});
    assert!(panics(reserved).contains("`disconnect` is reserved"));
    let merged = || Routes::new().on("a", async || {}).merge(taken_once());
    assert_eq!(panics(merged), "the event `a` has a handler already");
}

fn taken_once() -> Routes {
    Routes::new().on("a", async || {})
}

#[test]
fn merged_tables_have_one_fallback_and_one_rejection_and_all_the_rest() {
    let fallback = || Routes::new().fallback(async || {});
    assert!(panics(|| fallback().merge(fallback())).contains("fallback"));
    assert!(panics(|| fallback().fallback(async || {})).contains("fallback"));
    let rejecting = || Routes::new().on_rejection(|_, _| None::<Reply<()>>);
    assert!(panics(|| rejecting().merge(rejecting())).contains("on_rejection"));
    assert!(panics(|| rejecting().on_rejection(|_, _| None::<Reply<()>>)).contains("twice"));

    let both = || Routes::new().before(async || {}).on_connect(async || {}).on_disconnect(left);
    let merged = both().merge(both()).merge(fallback()).merge(rejecting()).merge(taken_once());
    let counts = [merged.before.len(), merged.connect.len(), merged.disconnect.len()];
    assert_eq!((counts, merged.events.len()), ([2; 3], 1));
    assert!(merged.fallback.is_some() && merged.rejection.is_some());
}

async fn left(_: DisconnectReason) {}

#[test]
#[should_panic(expected = "at most 0 calls")]
fn no_calls_at_a_time_are_refused() {
    let _ = concurrent(0, async || {});
}

/// It is kept for each socket, also one that is idle.
#[test]
fn loop_of_a_socket_is_small() {
    fn size<A, B, C, F>(_: impl Fn(A, B, C) -> F) -> usize {
        size_of::<F>()
    }
    let size = size(super::worker::run::<()>);
    assert!(size <= 768, "{size}");
}
