//! Authentication: the user is the `sub` of a token signed with the server's secret, and nothing
//! else. No message or log line ever contains a token.

use axum::http::{HeaderMap, header};
use datum_sync::model::entity::check_id;
use hmac::{Hmac, KeyInit as _, Mac};
use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{ErrorKind, Result as JwtResult};
use jsonwebtoken::signature::{Error as SignatureError, Signer, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::rules::ServerError;

/// The shortest secret: the output size of HS256.
pub const MIN_SECRET_BYTES: usize = 32;
/// How far clocks may differ, in seconds.
const LEEWAY_S: u64 = 30;

/// The claims that are read from a token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Claims {
    /// The user.
    pub sub: String,
    /// When the token expires, in seconds since 1970; some issuers write a fraction.
    pub exp: f64,
}

/// Checks tokens, and issues them in development mode.
#[derive(Clone)]
pub struct Keys {
    verify: DecodingKey,
    sign: EncodingKey,
    validation: Validation,
}

impl Keys {
    /// Derives the keys from a secret.
    ///
    /// # Errors
    /// Fails with a sentence for the operator if the secret is too short.
    pub fn new(secret: &[u8]) -> Result<Self, String> {
        if secret.len() < MIN_SECRET_BYTES {
            return Err(format!(
                "The secret has {} bytes; it needs {MIN_SECRET_BYTES} or more.",
                secret.len()
            ));
        }
        // Fails only if a provider is installed already, and that is this one.
        let _ = PROVIDER.install_default();
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = LEEWAY_S;
        validation.validate_nbf = true;
        validation.validate_aud = false;
        validation.set_required_spec_claims(&["exp", "sub"]);
        Ok(Self {
            verify: DecodingKey::from_secret(secret),
            sign: EncodingKey::from_secret(secret),
            validation,
        })
    }

    /// Returns the claims of a request's token.
    ///
    /// # Errors
    /// 401 `tokenExpired`, or `tokenInvalid` for anything else.
    pub fn authenticate(&self, headers: &HeaderMap) -> Result<Claims, ServerError> {
        let invalid = |why: &str| ServerError::new(401, "tokenInvalid", why);
        let value = headers
            .get(header::AUTHORIZATION)
            .ok_or_else(|| invalid("The request has no `Authorization: Bearer` header."))?;
        let (scheme, token) = value
            .to_str()
            .ok()
            .and_then(|value| value.split_once(' '))
            .unwrap_or_default();
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(invalid(
                "The `Authorization` header is not of the form `Bearer <token>`.",
            ));
        }
        match jsonwebtoken::decode::<Claims>(token.trim(), &self.verify, &self.validation) {
            Ok(token) if check_id(&token.claims.sub).is_err() => Err(invalid(
                "The token's `sub` is empty, too long or has control characters.",
            )),
            Ok(token) => Ok(token.claims),
            Err(error) if matches!(error.kind(), ErrorKind::ExpiredSignature) => Err(
                ServerError::new(401, "tokenExpired", "The token has expired; get a new one."),
            ),
            Err(_) => Err(invalid(
                "The token is not one that this server accepts: HS256, signed with its secret, with `sub` and `exp`.",
            )),
        }
    }

    /// Issues a token.
    ///
    /// # Errors
    /// 500 if it cannot be signed.
    pub fn issue(&self, claims: &Claims) -> Result<String, ServerError> {
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &self.sign)
            .map_err(ServerError::internal)
    }
}

/// HMAC with SHA-256 and no other algorithm.
static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |algorithm, key| Ok(Box::new(Hs256::new(*algorithm, key.as_bytes())?)),
    verifier_factory: |algorithm, key| {
        Ok(Box::new(Hs256::new(*algorithm, key.try_get_as_bytes()?)?))
    },
    key_utils: KeyUtils::new_unimplemented(),
};

struct Hs256(Hmac<Sha256>);

impl Hs256 {
    fn new(algorithm: Algorithm, secret: &[u8]) -> JwtResult<Self> {
        if algorithm != Algorithm::HS256 {
            return Err(ErrorKind::InvalidAlgorithm.into());
        }
        Ok(Self(
            Hmac::new_from_slice(secret).map_err(|_| ErrorKind::InvalidKeyFormat)?,
        ))
    }
}

impl Signer<Vec<u8>> for Hs256 {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, SignatureError> {
        let mut mac = self.0.clone();
        mac.update(message);
        Ok(mac.finalize().into_bytes().to_vec())
    }
}

impl Verifier<Vec<u8>> for Hs256 {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), SignatureError> {
        let mut mac = self.0.clone();
        mac.update(message);
        mac.verify_slice(signature)
            .map_err(SignatureError::from_source)
    }
}

impl JwtSigner for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

impl JwtVerifier for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}
