//! TLS: whom a server must show itself to be.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

/// `$PGSSLMODE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Disable,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

impl Mode {
    pub(super) fn from_setting(value: &[u8]) -> Option<Self> {
        Some(match value {
            b"disable" => Self::Disable,
            // Who allows it does not mind it.
            b"allow" | b"prefer" => Self::Prefer,
            b"require" => Self::Require,
            b"verify-ca" => Self::VerifyCa,
            b"verify-full" => Self::VerifyFull,
            _ => return None,
        })
    }
}

/// The files.
#[derive(Clone, Debug)]
pub(super) struct Files {
    /// `$PGSSLROOTCERT`.
    pub(super) roots: Option<PathBuf>,
    /// `$PGSSLCERT`.
    pub(super) certificate: Option<PathBuf>,
    /// `$PGSSLKEY`.
    pub(super) key: Option<PathBuf>,
}

/// What is wrong, and with which variable.
pub(super) type Wrong = (&'static str, String);

/// Prepares for connections of a mode, or says what is wrong with which file.
pub(super) fn client(mode: Mode, files: &Files) -> Result<ClientConfig, Wrong> {
    let of_roots = |mistake| ("PGSSLROOTCERT", mistake);
    let provider = Arc::new(ring::default_provider());
    let checks = !matches!(mode, Mode::Disable | Mode::Prefer);
    let roots = files.roots.as_deref().filter(|_| checks).map(roots).transpose().map_err(of_roots)?;
    let demands = matches!(mode, Mode::VerifyCa | Mode::VerifyFull);
    if demands && roots.is_none() {
        return Err(of_roots("expected a file with the certificates to trust, or system".into()));
    }
    let trusted =
        roots.map(|roots| WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build());
    let trusted = trusted.transpose().map_err(|error| of_roots(error.to_string()))?;
    let verifier = Verifier { trusted, checks_name: mode == Mode::VerifyFull, provider: Arc::clone(&provider) };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| of_roots(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    match (&files.certificate, &files.key) {
        (Some(certificate), Some(key)) => {
            let certificates = certificates(certificate).map_err(|mistake| ("PGSSLCERT", mistake))?;
            let key = read_key(key).map_err(|mistake| ("PGSSLKEY", mistake))?;
            config.with_client_auth_cert(certificates, key).map_err(|error| ("PGSSLCERT", error.to_string()))
        }
        _ => Ok(config.with_no_client_auth()),
    }
}

/// Reads a key that nobody else may read: not even a group, unless it is root who lets it.
fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let read = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let file = File::open(path).map_err(|error| read(&error))?;
    let metadata = file.metadata().map_err(|error| read(&error))?;
    let forbidden = if metadata.uid() == 0 { 0o037 } else { 0o077 };
    if !metadata.is_file() || metadata.mode() & forbidden != 0 {
        return Err(read(&"expected a file that nobody else may read: mode 600, or 640 if it is root's"));
    }
    let key = PrivateKeyDer::pem_reader_iter(file).next();
    key.ok_or_else(|| read(&"no key in it"))?.map_err(|error| read(&error))
}

fn roots(path: &Path) -> Result<RootCertStore, String> {
    let certificates =
        if path == Path::new("system") { rustls_native_certs::load_native_certs().certs } else { certificates(path)? };
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(certificates);
    if added > 0 { Ok(roots) } else { Err(format!("{}: no certificate in it", path.display())) }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = |error| format!("{}: {error}", path.display());
    CertificateDer::pem_file_iter(path).map_err(read)?.collect::<Result<_, _>>().map_err(read)
}

/// Checks a server's certificate as far as it is asked for.
#[derive(Debug)]
struct Verifier {
    /// Without it any certificate does: the connection is encrypted, and nobody knows to whom.
    trusted: Option<Arc<WebPkiServerVerifier>>,
    checks_name: bool,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(trusted) = &self.trusted else {
            return Ok(ServerCertVerified::assertion());
        };
        match trusted.verify_server_cert(end_entity, intermediates, name, ocsp, now) {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.checks_name => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
