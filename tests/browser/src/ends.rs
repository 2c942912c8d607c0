//! How sockets are authorized, and how they end.

use enginewire_browser::socketio::{ClientError, DisconnectReason, EmitError, Update};
use js_sys::Promise;
use serde_json::{Value as Json, json};
use wasm_bindgen_futures::JsFuture;

use crate::{Failed, Outcome, Setup, check, check_eq, events::next};

/// The server authorizes a socket by a payload that a promise of JavaScript makes.
pub(crate) async fn auth(setup: &Setup) -> Outcome {
    let client = setup.client("/").build()?;
    let token = js_sys::JsString::from("s3cret");
    let secret = client.socket("/secret").auth_with(move || {
        let promise = Promise::resolve(&token);
        async move {
            let token = JsFuture::from(promise).await.ok().and_then(|token| token.as_string());
            json!({ "token": token, "user": "Ann" })
        }
    });
    let secret = secret.connect().await?;
    let me: Json = secret.emit_with_ack("whoami", &()).await?;
    check_eq!(me["nsp"], json!("/secret"));
    check_eq!(me["data"]["user"], json!("Ann"));
    check_eq!(me["id"], json!(secret.id().map(|id| id.to_string())));

    // The same client has a socket of another namespace, on the same connection.
    let custom = client.socket("custom").connect().await?;
    let me: Json = custom.emit_with_ack("whoami", &()).await?;
    check_eq!(me["nsp"], json!("/custom"));
    let error = client.socket("/custom").open().map(drop);
    check!(matches!(error, Err(ClientError::NamespaceTaken { .. })), "{error:?}");
    Ok(())
}

/// A refusal has the message of the server and its data.
pub(crate) async fn refused(setup: &Setup) -> Outcome {
    let client = setup.client("/").build()?;
    let refused = client.socket("/secret").auth(&json!({ "token": "wrong" })).connect().await;
    let Err(ClientError::Refused(error)) = refused else {
        return Err(Failed(format!("not refused: {refused:?}")));
    };
    check_eq!(error.message(), "not authorized");
    let data = error.data().map(|data| data.decode::<serde_json::Value>()).transpose()?;
    check_eq!(data, Some(json!({ "code": "E_AUTH", "retry": false })));
    Ok(())
}

/// A socket that this side disconnects stays disconnected, and the server is told why.
pub(crate) async fn disconnect(setup: &Setup) -> Outcome {
    let client = setup.client("/").build()?;
    let mut socket = client.connect().await?;
    let id = socket.id().ok_or("no id")?.to_string();
    let other = client.socket("/custom").connect().await?;
    socket.emit("echo", "before").await?;
    check_eq!(socket.disconnect(), 0);
    check!(!socket.is_active() && !socket.is_connected(), "it is active");
    let mut reasons = Vec::new();
    while let Some(update) = socket.next().await {
        if let Update::Disconnected { reason, .. } = update {
            reasons.push(reason);
        }
    }
    check_eq!(reasons, [DisconnectReason::ClientLeft]);
    check_eq!(socket.emit("echo", "after").await, Err(EmitError::Disconnected));
    let reason: String = loop {
        // It is on its way behind what was sent before.
        let reason: Option<String> = other.emit_with_ack("reason-of", &id).await?;
        if let Some(reason) = reason {
            break reason;
        }
    };
    check_eq!(reason, "client namespace disconnect");
    // Unless the application says so.
    socket.connect();
    socket.connected().await?;
    check!(socket.id().is_some_and(|new| new.to_string() != id), "the same id");
    Ok(())
}

/// A socket that the server disconnects stays disconnected.
pub(crate) async fn disconnected(setup: &Setup) -> Outcome {
    let mut socket = setup.client("/").connect().await?;
    socket.emit("disconnect-me", &false).await?;
    let mut reason = None;
    while let Some(update) = socket.next().await {
        if let Update::Disconnected { reason: why, .. } = update {
            reason = Some(why);
        }
    }
    check_eq!(reason, Some(DisconnectReason::ServerLeft));
    check!(
        matches!(socket.end_reason(), Some(ClientError::ServerLeft)),
        "{:?}",
        socket.end_reason()
    );
    Ok(())
}

/// A client that is closed sends what is queued, and has no connection afterwards.
pub(crate) async fn close(setup: &Setup) -> Outcome {
    let client = setup.client("/").build()?;
    let socket = client.connect().await?;
    let mut other = setup.client("/").connect().await?;
    for i in 0..50_u32 {
        socket.emit("broadcast", &("last words", (i,))).await?;
    }
    check_eq!(client.close().await, 0);
    check!(matches!(client.open().map(drop), Err(ClientError::Closed)), "it opens");
    for i in 0..50_u32 {
        check_eq!(next(&mut other, "last words").await?.data::<u32>()?, i);
    }
    Ok(())
}
