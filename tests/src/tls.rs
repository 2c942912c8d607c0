//! Certificates that are made for a test, and configurations of rustls with them.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, PublicKeyData as _,
};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, StreamOwned,
    client::WantsClientCert,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName},
    server::WebPkiClientVerifier,
    sign::CertifiedKey,
};
use sha2::{Digest as _, Sha256};

/// An authority that signs certificates.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key.
pub struct Identity {
    certificate: CertificateDer<'static>,
    key: KeyPair,
}

impl Default for Authority {
    fn default() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        // Two of one name would be taken for each other.
        let name = format!("Authority {:x?}", &key.public_key_raw()[1..9]);
        params.distinguished_name.push(DnType::CommonName, name);
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }
}

impl Authority {
    /// The certificate of the authority, as others read it.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for these hosts, or for a client.
    pub fn issue(&self, names: &[&str]) -> Identity {
        self.issue_with(names, |_| {})
    }

    /// The same with other fields.
    pub fn issue_with(
        &self,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> Identity {
        let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        let purposes = [ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.extended_key_usages = purposes.to_vec();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Identity { certificate: certificate.into(), key }
    }

    /// The authority as the only one that is trusted.
    pub fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        Arc::new(roots)
    }

    /// A server with this certificate.
    pub fn server(&self, identity: &Identity) -> Arc<ServerConfig> {
        let config = server_builder().with_no_client_auth();
        Arc::new(config.with_single_cert(vec![identity.certificate()], identity.key()).unwrap())
    }

    /// A server with this certificate, which requires one of clients.
    pub fn server_for_known(&self, identity: &Identity) -> Arc<ServerConfig> {
        let verifier = WebPkiClientVerifier::builder_with_provider(self.roots(), provider());
        let config = server_builder().with_client_cert_verifier(verifier.build().unwrap());
        Arc::new(config.with_single_cert(vec![identity.certificate()], identity.key()).unwrap())
    }

    /// A client that trusts the authority.
    pub fn client(&self) -> Arc<ClientConfig> {
        Arc::new(self.client_builder().with_no_client_auth())
    }

    /// A client that trusts the authority, with a certificate.
    pub fn client_with(&self, identity: &Identity) -> Arc<ClientConfig> {
        let config = self.client_builder();
        Arc::new(
            config.with_client_auth_cert(vec![identity.certificate()], identity.key()).unwrap(),
        )
    }

    fn client_builder(&self) -> rustls::ConfigBuilder<ClientConfig, WantsClientCert> {
        let builder = ClientConfig::builder_with_provider(provider());
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        builder.with_root_certificates(self.roots())
    }
}

impl Identity {
    /// The certificate.
    pub fn certificate(&self) -> CertificateDer<'static> {
        self.certificate.clone()
    }

    /// The certificate, as others read it.
    pub fn pem(&self) -> String {
        let text = STANDARD.encode(&self.certificate);
        // Lines of RFC 7468 section 2. OpenSSL refuses longer ones of some lengths.
        let lines = text.as_bytes().chunks(64).map(|line| str::from_utf8(line).unwrap());
        let lines = lines.collect::<Vec<_>>().join("\n");
        format!("-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n")
    }

    /// Its private key.
    pub fn key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.serialize_der()).into()
    }

    /// Its private key, as others read it.
    pub fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    /// Both, for a server that chooses among several.
    pub fn certified(&self) -> CertifiedKey {
        CertifiedKey::from_der(vec![self.certificate()], self.key(), &provider()).unwrap()
    }

    /// The hash of the public key in base64, by which a browser can be told to trust it.
    pub fn pin(&self) -> String {
        STANDARD.encode(Sha256::digest(self.key.subject_public_key_info()))
    }
}

/// The crypto provider of tests.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// A configuration of a server without certificates.
pub fn server_builder() -> rustls::ConfigBuilder<ServerConfig, rustls::WantsVerifier> {
    let builder = ServerConfig::builder_with_provider(provider());
    builder.with_safe_default_protocol_versions().unwrap()
}

/// A connection with TLS that blocks its thread. Its handshake comes with the first byte.
pub fn connect(
    config: Arc<ClientConfig>,
    to: SocketAddr,
    host: &str,
) -> StreamOwned<ClientConnection, TcpStream> {
    let name = ServerName::try_from(host.to_owned()).unwrap();
    let stream = TcpStream::connect(to).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    StreamOwned::new(ClientConnection::new(config, name).unwrap(), stream)
}
