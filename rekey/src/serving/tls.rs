//! TLS for servers: certificate and key from PEM files, and which clients may connect.

use crate::backends::Refusal;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, RootCertStore, ServerConfig, SignatureScheme};
use std::path::Path;
use std::sync::Arc;

/// Which clients may connect.
pub enum Clients<'a> {
    /// All; who they are is told by other means.
    All,
    /// Those with a certificate that this authority issued (a PEM file), valid now.
    IssuedBy(&'a Path),
    /// Those that prove the key of any certificate, whoever issued it and whenever it ends; or that show none. Who they are is decided by the certificate's
    /// digest. For peers that must reach us with an old certificate so that they can get a new one.
    Pinned,
}

/// A server's TLS.
///
/// # Errors
/// A file cannot be read, holds no certificate or key, or they do not belong together.
pub fn server(certificate: &Path, key: &Path, clients: &Clients<'_>) -> Result<Arc<ServerConfig>, Refusal> {
    let chain = certificates(certificate)?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| unreadable(key, "a private key in PEM", error))?;
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| Refusal::new(format!("TLS cannot be set up: {error}"), "this is a fault of the program, report it"))?;
    let builder = match clients {
        Clients::All => builder.with_no_client_auth(),
        Clients::IssuedBy(authority) => builder.with_client_cert_verifier(issued_by(authority, provider)?),
        Clients::Pinned => builder.with_client_cert_verifier(Arc::new(Pinned(provider.signature_verification_algorithms))),
    };
    let config = builder.with_single_cert(chain, private).map_err(|error| {
        Refusal::new(
            format!("{} and {} do not fit together: {error}", certificate.display(), key.display()),
            "give the key that belongs to the first certificate of the file",
        )
    })?;
    Ok(Arc::new(config))
}

fn issued_by(authority: &Path, provider: Arc<CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>, Refusal> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(authority)? {
        roots.add(certificate).map_err(|error| unreadable(authority, "a certificate authority", error))?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    verifier.build().map_err(|error| unreadable(authority, "a certificate authority", error))
}

/// The certificates of a PEM file, at least one.
///
/// # Errors
/// It cannot be read or holds none.
pub fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Refusal> {
    let what = "certificates in PEM";
    let found = CertificateDer::pem_file_iter(file).map_err(|error| unreadable(file, what, error))?;
    let found: Vec<_> = found.collect::<Result<_, _>>().map_err(|error| unreadable(file, what, error))?;
    if found.is_empty() { Err(unreadable(file, what, "it holds none")) } else { Ok(found) }
}

fn unreadable(file: &Path, what: &str, error: impl std::fmt::Display) -> Refusal {
    Refusal::new(format!("{} cannot be read as {what}: {error}", file.display()), "check the path, its rights and its content")
}

/// See [`Clients::Pinned`].
#[derive(Debug)]
struct Pinned(WebPkiSupportedAlgorithms);

impl ClientCertVerifier for Pinned {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        // Who it is and whether it may is for the request's handler: a peer that is turned away here waits for minutes, one that is told 403 does not.
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
