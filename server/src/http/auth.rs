//! Who is asking: the `sub` of a token that is signed with the server's secret. Nothing else names
//! a user, and no message or log line ever holds a token.

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

/// The least bytes of a secret: what HS256 is as strong as.
pub const MIN_SECRET_BYTES: usize = 32;
/// How far clocks may be apart, in seconds.
const LEEWAY_S: u64 = 30;

/// What is read of a token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Claims {
    /// The user.
    pub sub: String,
    /// When it ends, in seconds since 1970; some issuers write a fraction.
    pub exp: f64,
}

/// Checks tokens, and makes them where that is allowed.
#[derive(Clone)]
pub struct Keys {
    verify: DecodingKey,
    sign: EncodingKey,
    validation: Validation,
}

impl Keys {
    /// The keys of a secret.
    ///
    /// # Errors
    /// A sentence for the operator where the secret is too short.
    pub fn new(secret: &[u8]) -> Result<Self, String> {
        if secret.len() < MIN_SECRET_BYTES {
            return Err(format!(
                "The secret has {} bytes; it needs {MIN_SECRET_BYTES} or more.",
                secret.len()
            ));
        }
        // Refused only where it was installed before, and then it is this one.
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

    /// The claims of a request's token.
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

    /// A token for a user.
    ///
    /// # Errors
    /// 500 if it cannot be signed.
    pub fn mint(&self, claims: &Claims) -> Result<String, ServerError> {
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &self.sign)
            .map_err(ServerError::internal)
    }
}

/// HMAC with SHA-256 and nothing else: no other algorithm can be asked for.
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
