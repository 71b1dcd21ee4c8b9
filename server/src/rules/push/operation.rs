//! Reading a push. A malformed operation is rejected alone; the others are decided.

use std::borrow::Cow;

use datum_sync::model::entity::{check_id, check_name};
use datum_sync::model::limits::MAX_VERSION;
use datum_sync::model::protocol::{PushedKind, PushedOperation, whole_or_zero};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::space_work::RowKey;
use crate::rules::data::Rejection;
use crate::rules::store::Space;
use crate::rules::{Config, ServerError, check_user, spaces};

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
    pub(super) parsed: Result<Operation<'a>, Rejection>,
}

/// A checked operation.
pub(super) struct Operation<'a> {
    pub(super) sent: PushedOperation<'a>,
    pub(super) space: Space,
    /// Entity type and id.
    pub(super) key: RowKey,
    /// Of a move: where the row goes.
    pub(super) to: Option<Space>,
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
            items.push(Item::parse(config, user, raw, index)?);
        }
        Ok(Self {
            epoch: envelope.epoch,
            server_id: envelope.server_id,
            items,
        })
    }
}

impl<'a> Item<'a> {
    fn parse(
        config: &Config,
        user: &str,
        raw: &'a RawValue,
        index: usize,
    ) -> Result<Self, ServerError> {
        match serde_json::from_str::<PushedOperation<'a>>(raw.get()) {
            Ok(sent) => Ok(Self {
                op_id: sent.op_id.clone(),
                parsed: check(config, &sent)
                    .and_then(|()| check_spaces(&sent))
                    .map(|()| Operation::new(user, sent)),
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

/// Checks the spaces that an operation names, and the ids of the rows that describe them.
fn check_spaces(sent: &PushedOperation<'_>) -> Result<(), Rejection> {
    for (field, space) in [("space", &sent.space), ("to", &sent.to)] {
        if space.as_ref().is_some_and(|space| !spaces::is_id(space)) {
            return Err(Rejection::new(
                "invalidId",
                format!("`{field}`: a space's id is a UUID of 36 characters in lower case."),
            ));
        }
    }
    let invalid = |why: &str| Err(Rejection::new("invalidOperation", why));
    let reserved = spaces::is_reserved(&sent.entity);
    if sent.kind == PushedKind::Move {
        if reserved {
            return invalid("Spaces and members cannot be moved.");
        }
        if sent.to == sent.space {
            return invalid("`to` is the space that the row is in.");
        }
        if sent.base_version.is_none() {
            return Err(Rejection::new(
                "invalidVersion",
                "`baseVersion` is missing; a move needs the row's version.",
            ));
        }
    }
    let Some(space) = sent.space.as_deref() else {
        return if reserved {
            invalid("`$space` and `$member` are rows of a shared space; name it as `space`.")
        } else {
            Ok(())
        };
    };
    match sent.entity.as_ref() {
        spaces::SPACE if sent.id != space => Err(Rejection::new(
            "invalidId",
            "`id`: a `$space` has the id of its `space`.",
        )),
        spaces::MEMBER if spaces::member(space, &sent.id).is_none() => Err(Rejection::new(
            "invalidId",
            "`id`: a `$member` has the id `<space>/<user>`.",
        )),
        _ => Ok(()),
    }
}

impl<'a> Operation<'a> {
    fn new(user: &str, sent: PushedOperation<'a>) -> Self {
        let place = |space: &Option<Cow<'_, str>>| match space {
            None => Space::personal(user),
            Some(id) => Space::shared(id),
        };
        Self {
            space: place(&sent.space),
            to: (sent.kind == PushedKind::Move).then(|| place(&sent.to)),
            key: (sent.entity.to_string(), sent.id.to_string()),
            sent,
        }
    }
}
