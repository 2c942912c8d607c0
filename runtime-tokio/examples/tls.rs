//! A server with TLS that takes a renewed certificate without a restart:
//! `cargo run -p enginewire-tokio --features tls --example tls -- CERTIFICATE KEY`.
//!
//! Both are PEM files, such as certbot's `fullchain.pem` and `privkey.pem`. Listens on the address given as third
//! argument, 127.0.0.1:3000 if there is none. It reads the files again when they have changed, and on Unix at once when it
//! gets SIGHUP. New connections have the new certificate; those that are open go on. Files that cannot be used, such as a
//! certificate whose key is not there yet, are reported, and the server goes on with what it has.

use std::{
    env,
    error::Error,
    io,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use enginewire_tokio::{
    ServerBuilder,
    socketio::{Io, Socket},
    tls::{
        ServerTls,
        rustls::{
            ServerConfig,
            crypto::ring,
            pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
        },
    },
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let (Some(certificate), Some(key)) = (arguments.next(), arguments.next()) else {
        return Err("usage: tls CERTIFICATE KEY [ADDRESS]".into());
    };
    let files = Files { certificate: certificate.into(), key: key.into() };
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:3000".into());
    let changes = files.changes()?;
    let tls = ServerTls::new(files.read()?);
    let io = Io::new();
    let clients = io.namespace("/");
    let server = ServerBuilder::new().socketio(&io).tls(tls.clone()).bind(address).await?;
    println!("listening on {}", server.local_addr());
    tokio::join!(clients.serve(talk), reload(files, changes, tls));
    Ok(())
}

/// Relays what a client says to all others.
async fn talk(mut socket: Socket) {
    if let Some(tls) = socket.handshake().tls() {
        println!("{} has come to {:?} by {:?}", socket.id(), tls.server_name, tls.version);
    }
    while let Some(event) = socket.recv().await {
        let _ = socket.broadcast().forward(&event).await;
    }
}

/// Replaces the certificate whenever the files may have changed.
async fn reload(files: Files, mut changes: Changes, tls: ServerTls) {
    loop {
        changes.next(&files).await;
        match files.read() {
            Ok(config) => {
                tls.replace(config);
                println!("new connections have the certificate of {}", files.certificate.display());
            }
            Err(error) => eprintln!("the certificate stays as it was: {error}"),
        }
    }
}

/// A certificate with those that lead to its authority, and its key.
struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

impl Files {
    fn read(&self) -> Result<Arc<ServerConfig>, Box<dyn Error>> {
        let chain = CertificateDer::pem_file_iter(&self.certificate)?;
        let chain = chain.collect::<Result<Vec<_>, _>>()?;
        let key = PrivateKeyDer::from_pem_file(&self.key)?;
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            // Refuses a key that is not the certificate's.
            .with_single_cert(chain, key)?;
        Ok(Arc::new(config))
    }

    /// When either file was last written, as far as that can be known.
    fn written(&self) -> [Option<SystemTime>; 2] {
        [&self.certificate, &self.key].map(|file| file.metadata().ok()?.modified().ok())
    }

    fn changes(&self) -> io::Result<Changes> {
        Ok(Changes {
            seen: self.written(),
            #[cfg(unix)]
            signal: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())?,
        })
    }
}

/// Changes of the files.
struct Changes {
    seen: [Option<SystemTime>; 2],
    #[cfg(unix)]
    signal: tokio::signal::unix::Signal,
}

impl Changes {
    /// Completes when the files have changed, or when somebody says so.
    async fn next(&mut self, files: &Files) {
        loop {
            tokio::select! {
                () = self.asked() => break,
                () = tokio::time::sleep(PERIOD) => {
                    if files.written() != self.seen {
                        break;
                    }
                }
            }
        }
        self.seen = files.written();
    }

    #[cfg(unix)]
    async fn asked(&mut self) {
        if self.signal.recv().await.is_none() {
            std::future::pending().await
        }
    }

    #[cfg(not(unix))]
    async fn asked(&mut self) {
        std::future::pending().await
    }
}

/// How often the files are looked at: a certificate is renewed days before it expires.
const PERIOD: Duration = Duration::from_secs(10);
