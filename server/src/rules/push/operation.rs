//! Reading a push. A malformed operation is rejected alone; the others are decided.

use std::borrow::Cow;

use datum_sync::model::entity::{check_id, check_name};
use datum_sync::model::limits::MAX_VERSION;
use datum_sync::model::protocol::{PushedOperation, whole_or_zero};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::rules::data::Rejection;
use crate::rules::{Config, ServerError, check_user};

/// A push whose operations are still JSON.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    #[serde(borrow)]
    client_id: Cow<'a, str>,
    #[serde(borrow, default)]
    user_id: Option<Cow<'a, str>>,
    #[serde(default, deserialize_with = "whole_or_zero")]
    schema: u32,
    #[serde(borrow, default)]
    epoch: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    server_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    operations: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OnlyId<'a> {
    #[serde(borrow)]
    op_id: Cow<'a, str>,
}

/// A checked push.
pub(super) struct Request<'a> {
    /// The epoch of the base versions, if the client knows one.
    pub(super) epoch: Option<Cow<'a, str>>,
    /// The server that the push is for, if the client knows one.
    pub(super) server_id: Option<Cow<'a, str>>,
    pub(super) items: Vec<Item<'a>>,
}

/// One operation, or why it is rejected.
pub(super) struct Item<'a> {
    pub(super) op_id: Cow<'a, str>,
    pub(super) parsed: Result<PushedOperation<'a>, Rejection>,
}

impl<'a> Request<'a> {
    pub(super) fn parse(config: &Config, user: &str, body: &'a [u8]) -> Result<Self, ServerError> {
        let envelope: Envelope<'a> = serde_json::from_slice(body)
            .map_err(|e| ServerError::bad_request(format!("The body is not a push: {e}")))?;
        check_id(&envelope.client_id)
            .map_err(|e| ServerError::bad_request(format!("`clientId`: {}", e.message())))?;
        check_user(user, envelope.user_id.as_deref())?;
        config.check_schema(envelope.schema)?;
        let count = envelope.operations.len();
        if count > config.max_operations {
            return Err(ServerError::too_large(
                "tooManyOperations",
                &format!("The push has {count} operations"),
                config.max_operations,
            ));
        }
        let mut items = Vec::with_capacity(count);
        for (index, raw) in envelope.operations.into_iter().enumerate() {
            items.push(Item::parse(config, raw, index)?);
        }
        Ok(Self {
            epoch: envelope.epoch,
            server_id: envelope.server_id,
            items,
        })
    }
}

impl<'a> Item<'a> {
    fn parse(config: &Config, raw: &'a RawValue, index: usize) -> Result<Self, ServerError> {
        match serde_json::from_str::<PushedOperation<'a>>(raw.get()) {
            Ok(operation) => Ok(Self {
                op_id: operation.op_id.clone(),
                parsed: match check(config, &operation) {
                    Ok(()) => Ok(operation),
                    Err(rejection) => Err(rejection),
                },
            }),
            Err(cause) => {
                let OnlyId { op_id } = serde_json::from_str(raw.get()).map_err(|_| {
                    ServerError::bad_request(format!(
                        "`operations[{index}]` has no `opId` to answer to: {cause}"
                    ))
                })?;
                Ok(Self {
                    op_id,
                    parsed: Err(Rejection::new(
                        "invalidOperation",
                        format!("The operation cannot be read: {cause}"),
                    )),
                })
            }
        }
    }
}

fn check(config: &Config, operation: &PushedOperation<'_>) -> Result<(), Rejection> {
    let invalid = |field: &str, e: datum_sync::model::error::Error| {
        Rejection::new("invalidId", format!("`{field}`: {}", e.message()))
    };
    check_id(&operation.op_id).map_err(|e| invalid("opId", e))?;
    check_name(&operation.entity).map_err(|e| invalid("entity", e))?;
    check_id(&operation.id).map_err(|e| invalid("id", e))?;
    if !config.knows(&operation.entity) {
        return Err(Rejection::new(
            "unknownEntity",
            format!("This server does not keep `{}`.", operation.entity),
        ));
    }
    if operation
        .base_version
        .is_some_and(|base| base == 0 || base > MAX_VERSION)
    {
        return Err(Rejection::new(
            "invalidVersion",
            "`baseVersion` must be null or a version that the server gave.",
        ));
    }
    Ok(())
}
