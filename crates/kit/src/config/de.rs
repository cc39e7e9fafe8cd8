//! A serde deserializer over the tree: every error carries field and place, fields nobody knows are collected, and in a
//! struct or map a key with an explicit null counts as absent (as on the Kubernetes API server).

use std::cell::RefCell;
use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::path::Path;
use super::tree::{Entry, Node, Position, Value};

/// What is wrong with a value, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) at: Option<Position>,
    pub(super) field: String,
    pub(super) what: String,
}

/// The serde error: boxed, because every step of a deserialization may return it.
#[derive(Debug)]
pub(super) struct Error(pub(super) Box<Fault>);

impl Error {
    /// Adds the place; the innermost wins.
    fn at(mut self, at: Position, path: &Path<'_>) -> Self {
        if self.0.at.is_none() {
            self.0.at = Some(at);
            self.0.field = path.to_string();
        }
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.what)
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(Box::new(Fault { at: None, field: String::new(), what: message.to_string() }))
    }

    fn unknown_field(field: &str, allowed: &'static [&'static str]) -> Self {
        Self::custom(format_args!("unknown field `{field}`, {}", super::allowed(allowed)))
    }

    fn unknown_variant(variant: &str, allowed: &'static [&'static str]) -> Self {
        Self::custom(format_args!("unknown value `{variant}`, {}", super::allowed(allowed)))
    }
}

/// Fields that the type does not have, collected while reading.
pub(super) type Unknown = RefCell<Vec<Fault>>;

/// One node, where it is, and where to put unknown fields.
pub(super) struct Reader<'de, 'p> {
    pub(super) node: &'de Node,
    pub(super) key_at: Option<Position>,
    pub(super) path: Path<'p>,
    pub(super) unknown: &'p Unknown,
}

impl<'de, 'p> Reader<'de, 'p> {
    pub(super) fn root(node: &'de Node, unknown: &'p Unknown) -> Self {
        Self { node, key_at: None, path: Path::Root, unknown }
    }

    /// Gives the value to the visitor as what it is. Nulls in mappings are dropped when `prune` is set.
    fn visit<V: Visitor<'de>>(&self, visitor: V, prune: bool) -> Result<V::Value, Error> {
        let result = match &self.node.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Int(value) => visitor.visit_i64(*value),
            Value::Uint(value) => visitor.visit_u64(*value),
            Value::Float(value) => visitor.visit_f64(*value),
            Value::Text(value) => visitor.visit_borrowed_str(value),
            Value::List(items) => visitor.visit_seq(Items { next: 0, items, reader: self }),
            Value::Map(entries) => {
                visitor.visit_map(Entries { entries: entries.iter(), value: None, prune, reader: self })
            }
        };
        self.place(result)
    }

    fn place<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        result.map_err(|error| error.at(self.node.at, &self.path))
    }

    fn record_unknown(&self) {
        self.unknown.borrow_mut().push(Fault {
            at: Some(self.key_at.unwrap_or(self.node.at)),
            field: self.path.to_string(),
            what: "unknown field".to_owned(),
        });
    }

    /// A struct or map: null is empty (an empty file has all defaults), and nulls inside are dropped.
    fn visit_pruned<V: Visitor<'de>>(&self, visitor: V) -> Result<V::Value, Error> {
        if matches!(self.node.value, Value::Null) {
            return self.place(visitor.visit_map(Entries {
                entries: [].iter(),
                value: None,
                prune: true,
                reader: self,
            }));
        }
        self.visit(visitor, true)
    }
}

impl<'de> Deserializer<'de> for Reader<'de, '_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.visit(visitor, false)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.node.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.visit_pruned(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.visit_pruned(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let result = match &self.node.value {
            Value::Text(name) => visitor.visit_enum(name.as_str().into_deserializer()),
            Value::Map(entries) if entries.len() == 1 => {
                visitor.visit_enum(Variant { entry: &entries[0], reader: &self })
            }
            _ => Err(de::Error::custom(format_args!("wrong value, {}", super::allowed(variants)))),
        };
        self.place(result)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.record_unknown();
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct identifier
    }
}

/// The items of a list.
struct Items<'de, 'p, 'r> {
    next: usize,
    items: &'de [Node],
    reader: &'r Reader<'de, 'p>,
}

impl<'de> SeqAccess<'de> for Items<'de, '_, '_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let Some(node) = self.items.get(self.next) else { return Ok(None) };
        let path = Path::Index(&self.reader.path, self.next);
        self.next += 1;
        read_placed(seed, Reader { node, key_at: None, path, unknown: self.reader.unknown }).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len() - self.next)
    }
}

/// The entries of a mapping.
struct Entries<'de, 'p, 'r> {
    entries: std::slice::Iter<'de, Entry>,
    value: Option<&'de Entry>,
    prune: bool,
    reader: &'r Reader<'de, 'p>,
}

impl<'de> MapAccess<'de> for Entries<'de, '_, '_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let prune = self.prune;
        self.value = self.entries.by_ref().find(|entry| !prune || !matches!(entry.value.value, Value::Null));
        let Some(entry) = self.value else { return Ok(None) };
        let path = Path::Key(&self.reader.path, &entry.key);
        let key: StrDeserializer<'_, Error> = entry.key.as_str().into_deserializer();
        seed.deserialize(key).map(Some).map_err(|error| error.at(entry.key_at, &path))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let entry = self.value.take().expect("serde asks for a key before its value");
        read_placed(seed, entry_reader(entry, self.reader))
    }
}

/// Reads a value; an error that its type raises after reading (a text that is no address) gets the value's place too.
fn read_placed<'de, T: DeserializeSeed<'de>>(seed: T, reader: Reader<'de, '_>) -> Result<T::Value, Error> {
    let (at, path) = (reader.node.at, reader.path);
    seed.deserialize(reader).map_err(|error| error.at(at, &path))
}

fn entry_reader<'de, 'r>(entry: &'de Entry, parent: &'r Reader<'de, '_>) -> Reader<'de, 'r> {
    Reader {
        node: &entry.value,
        key_at: Some(entry.key_at),
        path: Path::Key(&parent.path, &entry.key),
        unknown: parent.unknown,
    }
}

/// An enum variant with content: a mapping of one key.
struct Variant<'de, 'p, 'r> {
    entry: &'de Entry,
    reader: &'r Reader<'de, 'p>,
}

impl<'de, 'r> EnumAccess<'de> for Variant<'de, '_, 'r> {
    type Error = Error;
    type Variant = Content<'de, 'r>;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self::Variant), Error> {
        let content = entry_reader(self.entry, self.reader);
        let name: StrDeserializer<'_, Error> = self.entry.key.as_str().into_deserializer();
        let variant = seed.deserialize(name).map_err(|error| error.at(self.entry.key_at, &content.path))?;
        Ok((variant, Content(content)))
    }
}

/// The content of an enum variant.
struct Content<'de, 'p>(Reader<'de, 'p>);

impl<'de> VariantAccess<'de> for Content<'de, '_> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        let result = match self.0.node.value {
            Value::Null => Ok(()),
            _ => Err(de::Error::custom("this value takes no content")),
        };
        self.0.place(result)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        read_placed(seed, self.0)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, Error> {
        self.0.deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, _fields: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        self.0.visit_pruned(visitor)
    }
}
