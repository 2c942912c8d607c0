//! Runtimes that a suite runs on. A test is a function of the runtime; tasks of the server run on threads of the
//! runtime's, the test and its clients block their own.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::LazyLock;

use enginewire_async_std::AsyncStd;
use enginewire_driver::Runtime;
use enginewire_smol::Smol;
use enginewire_tokio::Tokio;

/// Makes tests of functions that take a runtime. Each file of a suite calls it with all of them: one that
/// is left out is dead code, of which the compiler tells.
#[macro_export]
macro_rules! on_every_runtime {
    ($($test:ident),+ $(,)?) => {
        $crate::on_every_runtime!(tokio: ::enginewire_tokio::Tokio, $($test),+);
        $crate::on_every_runtime!(smol: ::enginewire_smol::Smol, $($test),+);
        $crate::on_every_runtime!(async_std: ::enginewire_async_std::AsyncStd, $($test),+);
    };
    ($module:ident: $runtime:ty, $($test:ident),+) => {
        mod $module {
            $(
                #[test]
                fn $test() {
                    <$runtime as $crate::host::Host>::host(super::$test::<$runtime>);
                }
            )+
        }
    };
}

/// A runtime that a suite runs on.
pub trait Host: Runtime + Default {
    /// Does `work` on the calling thread, where it may use the runtime, whose tasks run elsewhere.
    fn host<T>(work: impl FnOnce() -> T) -> T {
        work()
    }
}

impl Host for Tokio {
    fn host<T>(work: impl FnOnce() -> T) -> T {
        static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
            // So little stack that whoever lets a peer use it up is found out.
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            // And with one worker alone nothing could overtake anything.
            let workers =
                std::thread::available_parallelism().map_or(2, |cores| cores.get().max(2));
            builder.worker_threads(workers).thread_stack_size(512 * 1024);
            builder.enable_all().build().unwrap()
        });
        let _context = RUNTIME.enter();
        work()
    }
}

impl Host for Smol {}

impl Host for AsyncStd {}
