//! The signal to stop, and a stop that ends in time whatever hangs.

use std::future::Future;
use std::io;
use std::process::exit;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use super::logging;

/// How long stopping may take. Whoever sent the signal is promised ten seconds.
const LIMIT: Duration = Duration::from_millis(9_500);
/// How long the last log lines may take after that.
const LAST_LINES: Duration = Duration::from_millis(250);

/// SIGXFSZ, which has no name in the library that handles signals.
const FILE_SIZE_EXCEEDED: i32 = 25;

/// From now on a file that may not grow any more (`ulimit -f`) is an error of whoever writes it. Unheeded, the signal would end
/// the program.
///
/// # Errors
/// When the operating system doesn't let signals be handled.
pub(super) fn outlive_file_size_limit() -> io::Result<()> {
    // The handler stays when what it would tell is dropped.
    signal(SignalKind::from_raw(FILE_SIZE_EXCEEDED)).map(drop)
}

/// Ready when SIGTERM or SIGINT comes. From then on the program ends within ten seconds: what was acknowledged is on disk,
/// and nothing else is worth waiting for longer. The signals are heeded even while nobody waits for this.
///
/// # Errors
/// When the operating system doesn't let signals be handled.
pub(super) fn signal_to_stop() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (stop, stopped) = oneshot::channel();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        // A thread of its own: whatever hangs may hang the others.
        let limiting = std::thread::Builder::new().name("stop".into()).spawn(end_in_time);
        if let Err(error) = limiting {
            tracing::error!(%error, "can't start a thread that limits the time to stop");
        }
        tracing::info!("stopping: finishing what was accepted");
        let _ = stop.send(());
    });
    Ok(async move {
        let _ = stopped.await;
    })
}

fn end_in_time() {
    std::thread::sleep(LIMIT);
    tracing::error!("stopping took ten seconds; what hangs is left, and what was acknowledged is recorded");
    logging::flush(LAST_LINES);
    exit(1);
}
