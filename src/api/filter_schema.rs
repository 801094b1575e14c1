//! What a filter looks like, for the description; `model::filter` reads it.

#![expect(dead_code, reason = "only their descriptions are used")]

use std::borrow::Cow;

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::model::Filter;

/// Which sessions belong to a segment: a condition, or a group of filters.
#[derive(ToSchema)]
#[serde(untagged)]
#[schema(as = Filter, example = json!({"field": "country", "op": "eq", "value": "BR"}))]
pub(super) enum FilterSchema {
    /// One field.
    Condition(ConditionSchema),
    /// Every filter holds.
    All(AllOfFilters),
    /// At least one filter holds.
    Any(AnyOfFilters),
    /// The filter doesn't hold.
    Not(NotFilter),
}

/// Holds for a session whose field is as the operator says.
#[derive(ToSchema)]
#[schema(as = Condition)]
pub(super) struct ConditionSchema {
    /// `app_id`, `platform`, `os_version`, `app_version`, `device_model`, `country`, `language`, `first_session` or
    /// `attributes.NAME`.
    #[schema(example = "country")]
    field: String,
    /// How it is compared.
    op: OperatorSchema,
    /// With what: a list for `in` and `not_in`, `true` or `false` for `exists`, which may leave it out.
    #[schema(required = false)]
    value: ComparedWith,
}

/// The operators, as `model::filter` has them.
struct OperatorSchema;

impl PartialSchema for OperatorSchema {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some(
                "`lt`, `lte`, `gt` and `gte` compare numbers and versions, `prefix` and `contains` texts.",
            ))
            .enum_values(Some(Filter::operators()))
            .into()
    }
}

impl ToSchema for OperatorSchema {
    fn name() -> Cow<'static, str> {
        "Operator".into()
    }
}

/// What a field is compared with. Types never coerce.
#[derive(ToSchema)]
#[serde(untagged)]
enum ComparedWith {
    /// Up to 256 bytes.
    Text(String),
    /// Any.
    Number(f64),
    /// `true` or `false`.
    Boolean(bool),
    /// For `in` and `not_in`.
    List(Vec<super::track::AttributeValue>),
}

/// Holds where every filter holds; everyone, if there is none.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AllOfFilters {
    /// Up to 8 groups in each other, up to 64 conditions in all.
    #[schema(no_recursion, example = json!([{"field": "country", "op": "eq", "value": "BR"}]))]
    all: Vec<FilterSchema>,
}

/// Holds where one filter holds or several do; nobody, if there is none.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AnyOfFilters {
    /// Up to 8 groups in each other, up to 64 conditions in all.
    #[schema(no_recursion, example = json!([{"field": "country", "op": "eq", "value": "BR"}]))]
    any: Vec<FilterSchema>,
}

/// Holds where the filter doesn't.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NotFilter {
    /// The filter.
    #[schema(no_recursion, example = json!({"field": "country", "op": "eq", "value": "BR"}))]
    not: Box<FilterSchema>,
}
