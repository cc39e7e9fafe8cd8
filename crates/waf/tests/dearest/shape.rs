//! What a request is made of, and how it is changed.

use crate::chance::Chance;
use crate::judge::Request;

/// As much of a body as the baseline reads.
const BODY: usize = 128 << 10;
/// As much of a head as Envoy takes.
const HEAD: usize = 48 << 10;
/// As many parameters as the engine takes.
const PARAMETERS: usize = 990;

/// The kinds of requests.
pub(crate) const KINDS: [Kind; 8] =
    [Kind::Query, Kind::Cookie, Kind::Form, Kind::Packed, Kind::Json, Kind::Deep, Kind::Multipart, Kind::Text];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Query,
    Cookie,
    Form,
    /// A form in which every byte is encoded.
    Packed,
    Json,
    /// JSON in JSON in JSON.
    Deep,
    Multipart,
    Text,
}

/// What attacks are written with, and what rules look for the beginning of.
const PIECES: [&str; 40] = [
    "a", " ", "1", "'", "\"", "`", "(", ")", "{", "[", "<", ">", "/", "\\", ".", "..", ";", "|", "&", "$", "%", "*",
    "-", "--", "=", "select ", "union ", "<a ", "on", "script", "eval(", "${", "echo ", "cat /", "../", "0x", "&#x",
    "%25", "\u{e9}", "_",
];

/// What a request is made of.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    kind: Kind,
    /// The values repeat these.
    pieces: Vec<&'static str>,
    parameters: usize,
}

impl Shape {
    pub(crate) fn new(kind: Kind, chance: &mut Chance) -> Self {
        let pieces = (0..=chance.below(4)).map(|_| chance.of(&PIECES)).collect();
        let parameters = chance.of(&[1, 1, 10, 100, PARAMETERS]);
        Self { kind, pieces, parameters }
    }

    /// The same with one change.
    pub(crate) fn changed(&self, chance: &mut Chance) -> Self {
        let mut shape = self.clone();
        let at = chance.below(shape.pieces.len());
        match chance.below(8) {
            0..=2 => shape.pieces[at] = chance.of(&PIECES),
            3..=4 => shape.pieces.insert(at, chance.of(&PIECES)),
            5 if shape.pieces.len() > 1 => drop(shape.pieces.remove(at)),
            6 => shape.kind = chance.of(&KINDS),
            _ => {
                let more = [shape.parameters * 2, shape.parameters / 2, shape.parameters + 1];
                shape.parameters = chance.of(&more).clamp(1, PARAMETERS);
            }
        }
        shape
    }

    pub(crate) fn request(&self) -> Request {
        let method = if self.kind == Kind::Query || self.kind == Kind::Cookie { "GET" } else { "POST" };
        let headers =
            [("user-agent", "tests"), ("accept", "*/*")].map(|(name, value)| (name, value.to_owned())).to_vec();
        let mut request = Request { method, target: "/".to_owned(), headers, body: Vec::new() };
        let mut post = |kind: &str, body: String| {
            request.headers.push(("content-type", kind.to_owned()));
            request.body = body.into_bytes();
        };
        match self.kind {
            Kind::Query => request.target = format!("/?{}", self.form(HEAD, 3, encoded)),
            Kind::Cookie => request.headers.push(("cookie", self.form(HEAD, 1, in_cookie).replace('&', "; "))),
            Kind::Form => post("application/x-www-form-urlencoded", self.form(BODY, 1, in_form)),
            Kind::Packed => post("application/x-www-form-urlencoded", self.form(BODY, 3, encoded)),
            Kind::Json => post("application/json", self.json(1)),
            Kind::Deep => post("application/json", self.json(self.parameters.min(400))),
            Kind::Multipart => post("multipart/form-data; boundary=xx", self.multipart()),
            Kind::Text => post("text/plain", self.value(0, BODY)),
        }
        request
    }

    /// The value of a parameter, of about so many bytes.
    fn value(&self, number: usize, bytes: usize) -> String {
        let mut value = String::with_capacity(bytes);
        let pieces = self.pieces.iter().cycle().skip(number % self.pieces.len());
        for piece in pieces {
            if value.len() + piece.len() > bytes {
                break;
            }
            value.push_str(piece);
        }
        value
    }

    /// All parameters, each of its share of the bytes, of which `around` go with names and the like.
    fn values(&self, bytes: usize, around: usize) -> impl Iterator<Item = (usize, String)> {
        let share = (bytes / self.parameters).saturating_sub(around);
        (0..self.parameters).map(move |number| (number, self.value(number, share)))
    }

    /// With an encoding that makes of a byte so many at most.
    fn form(&self, bytes: usize, growth: usize, encode: fn(&str) -> String) -> String {
        let pairs = self.values(bytes, 6).map(|(number, mut value)| {
            let most = (0..=value.len() / growth).rev().find(|most| value.is_char_boundary(*most)).unwrap_or(0);
            value.truncate(most);
            format!("p{number}={}", encode(&value))
        });
        pairs.collect::<Vec<_>>().join("&")
    }

    fn json(&self, depth: usize) -> String {
        let values = self.values(BODY - 2 * depth - 2, 12).map(|(number, value)| {
            let text = serde_json::Value::from(value.as_str()).to_string();
            let most = value.len() + 2;
            // What has to be escaped is longer than its share.
            if text.len() <= most { format!("\"p{number}\":{text}") } else { format!("\"p{number}\":\"\"") }
        });
        let object = format!("{{{}}}", values.collect::<Vec<_>>().join(","));
        format!("{}{object}{}", "[".repeat(depth), "]".repeat(depth))
    }

    fn multipart(&self) -> String {
        let parts = self.values(BODY - 8, 60).map(|(number, value)| {
            format!("--xx\r\ncontent-disposition: form-data; name=\"p{number}\"\r\n\r\n{value}\r\n")
        });
        parts.collect::<String>() + "--xx--\r\n"
    }
}

fn encoded(value: &str) -> String {
    value.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

/// What separates parameters stands for something else in a value.
fn in_form(value: &str) -> String {
    value.replace(['&', '%', '='], "+")
}

fn in_cookie(value: &str) -> String {
    value.chars().filter(|letter| letter.is_ascii() && !";&\"\\".contains(*letter)).collect()
}
