//! A network and servers that go and come, and those that are not to be had.

use std::time::Duration;

use enginewire_browser::{
    Reconnect,
    socketio::{ClientError, ClientSocket, DisconnectReason, EmitError, Update},
};
use serde_json::{Value as Json, json};

use crate::{
    Failed, Outcome, Setup, check, check_eq,
    events::{next, settle},
    page::outside,
};

/// A client comes back to a server that was started again. What it was asked to send meanwhile arrives in order.
pub(crate) async fn restart(setup: &Setup) -> Outcome {
    let quick = Reconnect::default().with_delay(Duration::from_millis(100));
    let quick = quick.with_max_delay(Duration::from_millis(200));
    let mut socket = setup.client("/").reconnect(quick).connect().await?;
    settle(setup, &socket).await?;
    outside("stop", "").await?;
    until_disconnected(&mut socket).await?;
    for i in 0..20_u32 {
        socket.emit("echo", &i).await?;
    }
    check!(socket.queued() > 0, "nothing waits");
    outside("start", "").await?;
    for i in 0..20_u32 {
        check_eq!(next(&mut socket, "echo").await?.data::<u32>()?, i);
    }
    settle(setup, &socket).await
}

/// A volatile event is sent at once or not at all.
pub(crate) async fn volatile(setup: &Setup) -> Outcome {
    let client = setup.client("/").build()?;
    let mut socket = client.open()?;
    check_eq!(socket.volatile().try_emit("echo", "early"), Err(EmitError::NotIdle));
    socket.connected().await?;
    settle(setup, &socket).await?;
    // Polling is idle between two requests.
    while socket.volatile().try_emit("echo", "in time").is_err() {
        socket.emit_with_ack::<u32, _>("message-with-ack", &1_u32).await?;
    }
    check_eq!(next(&mut socket, "echo").await?.data::<String>()?, "in time");
    Ok(())
}

/// A browser that goes offline loses its connection at once. Once it is online it tries again at once, and the server
/// gives it what it has missed.
pub(crate) async fn recovery(setup: &Setup) -> Outcome {
    // Only the event of the browser ends this delay within the time of the test.
    let never = Reconnect::default().with_jitter(0.0).with_delay(Duration::from_secs(600));
    let never = never.with_max_delay(Duration::from_secs(600));
    let mut socket = setup.client("/").reconnect(never).connect().await?;
    settle(setup, &socket).await?;
    let id = socket.id().ok_or("no id")?;
    outside("id", id.as_ref()).await?;
    // The place in the server's log is that of the last event.
    outside("say", "before").await?;
    check_eq!(next(&mut socket, "said").await?.data::<String>()?, "before");

    outside("offline", "").await?;
    check_eq!(until_disconnected(&mut socket).await?, DisconnectReason::TransportClose);
    // A server recovers what it knows to be lost.
    outside("gone", "").await?;
    outside("say", "missed").await?;
    outside("online", "").await?;
    let mut missed = Vec::new();
    loop {
        match socket.next().await.ok_or("it has ended")? {
            Update::Event(event) => missed.push(event.data::<String>()?),
            Update::Connected { recovered, id: again } => {
                check!(recovered && again == id, "not recovered");
                break;
            }
            Update::Waiting { attempt, delay } => check_eq!((attempt, delay.as_secs()), (1, 600)),
            other => return Err(Failed(format!("{other:?}"))),
        }
    }
    check_eq!(missed, ["missed"]);
    outside("say", "after").await?;
    check_eq!(next(&mut socket, "said").await?.data::<String>()?, "after");
    Ok(())
}

/// A path that the server does not serve is told with its status, or with what to look at.
pub(crate) async fn wrong_path(setup: &Setup) -> Outcome {
    let wrong = setup.client("/").path("/other/").without_reconnection().connect().await;
    let expected = if setup.starts_with_polling() { "404" } else { "is the path right" };
    fails_with(wrong, &[expected])
}

/// A server that does not run is told with what to look at.
pub(crate) async fn unreachable(setup: &Setup) -> Outcome {
    let failed = setup.client("/").without_reconnection().connect().await;
    fails_with(failed, &["no connection to the server", "console", "does the server listen there?"])
}

/// A server of another origin that does not allow that of the page is told with the name of the rule.
pub(crate) async fn cors(setup: &Setup) -> Outcome {
    let failed = setup.client("/").without_reconnection().connect().await;
    fails_with(failed, &["another origin", "CORS"])
}

/// Cookies go to a server of another origin with credentials alone.
pub(crate) async fn credentials(setup: &Setup) -> Outcome {
    // The server counts the visits of a cookie that it sets with each session.
    for (with, visits) in [(true, 1), (true, 2), (false, 1)] {
        let socket = setup.client("/").with_credentials(with).connect().await?;
        check_eq!(socket.emit_with_ack::<u32, _>("visits", &()).await?, visits);
    }
    Ok(())
}

/// The page is left: with `closing` the server is told that the socket has left.
pub(crate) async fn leave(setup: &Setup, closing: bool) -> Outcome {
    let client = setup.client("/").close_on_pagehide(closing).build()?;
    let socket = client.connect().await?;
    settle(setup, &socket).await?;
    let me: Json = socket.emit_with_ack("whoami", &()).await?;
    check_eq!(me["nsp"], json!("/"));
    outside("id", me["id"].as_str().unwrap_or_default()).await?;
    // It lives as long as the page.
    std::mem::forget((client, socket));
    Ok(())
}

fn fails_with(result: Result<ClientSocket, ClientError>, texts: &[&str]) -> Outcome {
    let Err(error) = result else { return Err(Failed("it is connected".to_owned())) };
    let error = error.to_string();
    let missing = texts.iter().find(|text| !error.contains(**text));
    check!(missing.is_none(), "{missing:?} is not in: {error}");
    Ok(())
}

async fn until_disconnected(socket: &mut ClientSocket) -> Outcome<DisconnectReason> {
    while let Some(update) = socket.next().await {
        match update {
            Update::Disconnected { reason, .. } => return Ok(reason),
            Update::Connected { .. } | Update::Event(_) => {}
            other => return Err(Failed(format!("{other:?}"))),
        }
    }
    Err(Failed("the socket has ended".to_owned()))
}
