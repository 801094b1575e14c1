//! The writer's schema: what a file's bytes mean.

use std::collections::HashMap;

use serde_json::{Map, Value};

/// Nesting of a schema that is read.
const MAX_DEPTH: usize = 64;

/// Index of a type.
pub(super) type TypeId = usize;

/// A type; those within it by their indices, since schemas may refer to themselves.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Type {
    Null,
    Boolean,
    /// int and long are written alike.
    Long,
    Float,
    Double,
    Bytes,
    Text,
    Fixed(usize),
    Enum(Vec<String>),
    Array(TypeId),
    Map(TypeId),
    Union(Vec<TypeId>),
    /// Its fields in their order.
    Record(Vec<(String, TypeId)>),
}

/// A schema whose values are records.
#[derive(Debug)]
pub(super) struct Schema {
    types: Vec<Type>,
    root: TypeId,
    name: String,
}

impl Schema {
    pub(super) fn parse(json: &[u8]) -> Result<Self, String> {
        let json: Value = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        let mut parser = Parser::default();
        let root = parser.parse(&json, "", 0)?;
        let named = parser.names.iter().find(|(_, id)| **id == root);
        let name = named.map(|(name, _)| name.clone()).unwrap_or_default();
        match parser.types.get(root) {
            Some(Type::Record(_)) => Ok(Self {
                types: parser.types,
                root,
                name,
            }),
            _ => Err("it describes no records".into()),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn get(&self, id: TypeId) -> &Type {
        self.types.get(id).unwrap_or(&Type::Null)
    }

    pub(super) fn root(&self) -> &[(String, TypeId)] {
        match self.get(self.root) {
            Type::Record(fields) => fields,
            _ => &[],
        }
    }

    pub(super) fn fields(&self) -> impl Iterator<Item = &str> {
        self.root().iter().map(|(name, _)| name.as_str())
    }
}

#[derive(Default)]
struct Parser {
    types: Vec<Type>,
    names: HashMap<String, TypeId>,
}

impl Parser {
    fn parse(&mut self, json: &Value, namespace: &str, depth: usize) -> Result<TypeId, String> {
        if depth > MAX_DEPTH {
            return Err("it is nested too deeply".into());
        }
        match json {
            Value::String(name) => self.named(name, namespace),
            Value::Array(branches) => {
                let branches = branches
                    .iter()
                    .map(|branch| self.parse(branch, namespace, depth + 1))
                    .collect::<Result<_, _>>()?;
                Ok(self.add(Type::Union(branches)))
            }
            Value::Object(object) => self.object(object, namespace, depth),
            _ => Err("a type must be a name, an array or an object".into()),
        }
    }

    fn add(&mut self, new: Type) -> TypeId {
        self.types.push(new);
        self.types.len() - 1
    }

    fn named(&mut self, name: &str, namespace: &str) -> Result<TypeId, String> {
        let primitive = match name {
            "null" => Type::Null,
            "boolean" => Type::Boolean,
            "int" | "long" => Type::Long,
            "float" => Type::Float,
            "double" => Type::Double,
            "bytes" => Type::Bytes,
            "string" => Type::Text,
            _ => {
                let known = self
                    .names
                    .get(&full_name(name, namespace))
                    .or_else(|| self.names.get(name));
                return known.copied().ok_or_else(|| {
                    format!(
                        "there is no type '{}'",
                        name.chars().take(100).collect::<String>()
                    )
                });
            }
        };
        Ok(self.add(primitive))
    }

    fn object(
        &mut self,
        object: &Map<String, Value>,
        namespace: &str,
        depth: usize,
    ) -> Result<TypeId, String> {
        let kind = object.get("type").ok_or("a type has no 'type'")?;
        let Value::String(kind) = kind else {
            return self.parse(kind, namespace, depth + 1);
        };
        let part = |name: &'static str| object.get(name).ok_or(format!("a type has no '{name}'"));
        match kind.as_str() {
            "array" => {
                let items = self.parse(part("items")?, namespace, depth + 1)?;
                Ok(self.add(Type::Array(items)))
            }
            "map" => {
                let values = self.parse(part("values")?, namespace, depth + 1)?;
                Ok(self.add(Type::Map(values)))
            }
            "fixed" => {
                let size = part("size")?.as_u64().and_then(|size| usize::try_from(size).ok());
                let id = self.add(Type::Fixed(size.ok_or("a size is no number")?));
                self.name(object, namespace, id);
                Ok(id)
            }
            "enum" => {
                let symbols = part("symbols")?.as_array().into_iter().flatten();
                let symbols = symbols.map(|symbol| symbol.as_str().unwrap_or_default().to_owned());
                let symbols = symbols.collect();
                let id = self.add(Type::Enum(symbols));
                self.name(object, namespace, id);
                Ok(id)
            }
            "record" | "error" => {
                let id = self.add(Type::Record(Vec::new()));
                let within = self.name(object, namespace, id);
                let mut fields = Vec::new();
                for field in part("fields")?.as_array().into_iter().flatten() {
                    let name = field
                        .get("name")
                        .and_then(Value::as_str)
                        .ok_or("a field has no name")?;
                    let kind = field.get("type").ok_or("a field has no type")?;
                    fields.push((name.to_owned(), self.parse(kind, &within, depth + 1)?));
                }
                if let Some(record) = self.types.get_mut(id) {
                    *record = Type::Record(fields);
                }
                Ok(id)
            }
            other => self.named(other, namespace),
        }
    }

    /// Notes a named type; the namespace of what stands within it.
    fn name(&mut self, object: &Map<String, Value>, namespace: &str, id: TypeId) -> String {
        let text = |name: &str| object.get(name).and_then(Value::as_str);
        let full = full_name(
            text("name").unwrap_or_default(),
            text("namespace").unwrap_or(namespace),
        );
        let within = full
            .rsplit_once('.')
            .map_or("", |(namespace, _)| namespace)
            .to_owned();
        self.names.insert(full, id);
        within
    }
}

fn full_name(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() {
        name.to_owned()
    } else {
        format!("{namespace}.{name}")
    }
}
