//! Reads a type from JSON strictly: an error says where it is, and fields that the type does not have are told.
//!
//! This is what `serde_path_to_error` and `serde_ignored` around `serde_json` do, in one layer. The code that reads a type
//! is made for each layer anew, and there are thousands of types: three layers were 5 MB more of program, and more than twice
//! the time to build this crate. (`kit` has the like for configuration, where every value has a place in a YAML file.)

use std::{cell::RefCell, fmt};

use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error as _, MapAccess, SeqAccess, Unexpected,
    VariantAccess, Visitor, value::StringDeserializer,
};
use serde_json::{Error, Value, map, value::Value as Json};

/// Reads a value. The callback hears the path of each field that the type does not have.
pub(crate) fn read<T: DeserializeOwned>(value: Value, unknown: &mut dyn FnMut(String)) -> Result<T, String> {
    let notes = RefCell::new(Notes { unknown, failed: None });
    let result = T::deserialize(Place { value, path: Path::Root, notes: &notes });
    result.map_err(|error| match notes.into_inner().failed {
        Some(path) if !path.is_empty() => format!("{path}: {error}"),
        _ => error.to_string(),
    })
}

/// What is noted on the way.
struct Notes<'n> {
    unknown: &'n mut dyn FnMut(String),
    /// The innermost place that could not be read.
    failed: Option<String>,
}

/// The way from the root to a place.
#[derive(Clone, Copy)]
enum Path<'p> {
    Root,
    Field(&'p Path<'p>, &'p str),
    Item(&'p Path<'p>, usize),
}

/// As users write it: `spec.listeners[0].port`.
impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Field(Self::Root, name) => f.write_str(name),
            Self::Field(parent, name) => write!(f, "{parent}.{name}"),
            Self::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// A value at its place.
struct Place<'a, 'n> {
    value: Value,
    path: Path<'a>,
    notes: &'a RefCell<Notes<'n>>,
}

impl Place<'_, '_> {
    /// Reads a part that stands at `path`.
    fn part<'de, S: DeserializeSeed<'de>>(&self, value: Value, path: Path<'_>, seed: S) -> Result<S::Value, Error> {
        let result = seed.deserialize(Place { value, path, notes: self.notes });
        if result.is_err() {
            self.notes.borrow_mut().failed.get_or_insert_with(|| path.to_string());
        }
        result
    }

    fn object<'de, V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
        let Json::Object(fields) = self.value.take() else { return Err(Error::custom("not a mapping")) };
        let mut rest = Fields { place: &self, rest: fields.into_iter(), next: None };
        visitor.visit_map(&mut rest)
    }

    fn list<'de, V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
        let Json::Array(items) = self.value.take() else { return Err(Error::custom("not a list")) };
        let length = items.len();
        let mut rest = Items { place: &self, rest: items.into_iter().enumerate() };
        let read = visitor.visit_seq(&mut rest)?;
        match rest.rest.len() {
            0 => Ok(read),
            _ => Err(Error::invalid_length(length, &"fewer items")),
        }
    }
}

impl<'de> Deserializer<'de> for Place<'_, '_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.value {
            Json::Null => visitor.visit_unit(),
            Json::Bool(value) => visitor.visit_bool(value),
            Json::Number(number) => number.deserialize_any(visitor),
            Json::String(text) => visitor.visit_string(text),
            Json::Array(_) => self.list(visitor),
            Json::Object(_) => self.object(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.value.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.value {
            Json::String(variant) => visitor.visit_enum(StringDeserializer::new(variant)),
            // As serde writes a variant with content: a mapping of one field.
            Json::Object(_) => visitor.visit_enum(self),
            other => Err(Error::invalid_type(unexpected(&other), &"a string or a mapping of one field")),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        (self.notes.borrow_mut().unknown)(self.path.to_string());
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier
    }
}

fn unexpected(value: &Value) -> Unexpected<'_> {
    match value {
        Json::Null => Unexpected::Unit,
        Json::Bool(value) => Unexpected::Bool(*value),
        Json::Number(number) => number.as_i64().map_or(Unexpected::Other("number"), Unexpected::Signed),
        Json::String(text) => Unexpected::Str(text),
        Json::Array(_) => Unexpected::Seq,
        Json::Object(_) => Unexpected::Map,
    }
}

/// The fields of an object that were not read yet.
struct Fields<'a, 'b, 'n> {
    place: &'a Place<'b, 'n>,
    rest: map::IntoIter,
    next: Option<(String, Value)>,
}

impl<'de> MapAccess<'de> for &mut Fields<'_, '_, '_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        self.next = self.rest.next();
        let Some((name, _)) = &self.next else { return Ok(None) };
        let key = StringDeserializer::<Error>::new(name.clone());
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let (name, value) = self.next.take().ok_or_else(|| Error::custom("a value without a name"))?;
        self.place.part(value, Path::Field(&self.place.path, &name), seed)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

/// The items of a list that were not read yet.
struct Items<'a, 'b, 'n> {
    place: &'a Place<'b, 'n>,
    rest: std::iter::Enumerate<std::vec::IntoIter<Value>>,
}

impl<'de> SeqAccess<'de> for &mut Items<'_, '_, '_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let Some((index, value)) = self.rest.next() else { return Ok(None) };
        self.place.part(value, Path::Item(&self.place.path, index), seed).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

/// A variant with content.
impl<'de, 'a, 'n> EnumAccess<'de> for Place<'a, 'n> {
    type Error = Error;
    type Variant = Content<'a, 'n>;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self::Variant), Error> {
        let fields = match self.value {
            Json::Object(fields) if fields.len() == 1 => fields,
            other => return Err(Error::invalid_value(unexpected(&other), &"a mapping of one field")),
        };
        let (name, value) = fields.into_iter().next().ok_or_else(|| Error::custom("an empty mapping"))?;
        let variant = seed.deserialize(StringDeserializer::<Error>::new(name.clone()))?;
        Ok((variant, Content { name, value, path: self.path, notes: self.notes }))
    }
}

/// The content of a variant.
struct Content<'a, 'n> {
    name: String,
    value: Value,
    path: Path<'a>,
    notes: &'a RefCell<Notes<'n>>,
}

impl<'de> VariantAccess<'de> for Content<'_, '_> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        self.newtype_variant_seed(std::marker::PhantomData)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        let Self { name, value, path, notes } = self;
        let whole = Place { value: Value::Null, path, notes };
        whole.part(value, Path::Field(&path, &name), seed)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        let Self { name, value, path, notes } = self;
        Place { value, path: Path::Field(&path, &name), notes }.deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        let Self { name, value, path, notes } = self;
        Place { value, path: Path::Field(&path, &name), notes }.deserialize_any(visitor)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use serde_json::{Value, json};

    #[derive(Debug, Deserialize, PartialEq)]
    enum Choice {
        Plain,
        With(u8),
        Fields { a: u8 },
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Inner {
        number: i32,
        choice: Option<Choice>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Name(String);

    #[derive(Debug, Deserialize, PartialEq)]
    struct Outer {
        name: Name,
        #[serde(default)]
        items: Vec<Inner>,
        #[serde(default)]
        map: BTreeMap<String, f64>,
        pair: Option<(u8, bool)>,
    }

    fn read(value: Value) -> (Result<Outer, String>, Vec<String>) {
        let mut unknown = Vec::new();
        let result = super::read(value, &mut |path| unknown.push(path));
        (result, unknown)
    }

    #[test]
    fn all_shapes_are_read_as_serde_json_reads_them() {
        for choice in [json!(null), json!("Plain"), json!({"With": 3}), json!({"Fields": {"a": 1}})] {
            let value = json!({"name": "n", "items": [{"number": -7, "choice": choice}], "map": {"x": 1, "y": 2.5},
                "pair": [1, true]});
            let (read, unknown) = read(value.clone());
            assert_eq!(read.unwrap(), serde_json::from_value::<Outer>(value).unwrap());
            assert_eq!(unknown, Vec::<String>::new());
        }
    }

    #[test]
    fn unknown_fields_are_told_with_their_path() {
        let (result, unknown) =
            read(json!({"name": "n", "naem": {"x": 1}, "items": [{"number": 1}, {"number": 2, "more": []}]}));
        assert!(result.is_ok());
        assert_eq!(unknown, ["items[1].more", "naem"]);
    }

    #[test]
    fn errors_say_where() {
        let message = |value: Value| read(value).0.unwrap_err();
        assert_eq!(
            message(json!({"name": "n", "items": [{"number": "x"}]})),
            "items[0].number: invalid type: string \"x\", expected i32"
        );
        assert_eq!(message(json!({"name": "n", "items": [{}]})), "items[0]: missing field `number`");
        assert_eq!(message(json!({})), "missing field `name`");
        assert_eq!(message(json!({"name": 1})), "name: invalid type: integer `1`, expected a string");
        assert_eq!(message(json!({"name": "n", "items": {}})), "items: invalid type: map, expected a sequence");
        let choice = |choice: Value| message(json!({"name": "n", "items": [{"number": 1, "choice": choice}]}));
        assert!(
            choice(json!("Other")).starts_with("items[0].choice: unknown variant `Other`, expected one of `Plain`")
        );
        assert_eq!(choice(json!({"With": "x"})), "items[0].choice.With: invalid type: string \"x\", expected u8");
        assert!(choice(json!({})).starts_with("items[0].choice: invalid value: map, expected"));
        assert!(choice(json!(true)).starts_with("items[0].choice: invalid type: boolean `true`, expected"));
        assert!(message(json!({"name": "n", "pair": [1, true, 2]})).starts_with("pair: invalid length 3"));
    }
}
