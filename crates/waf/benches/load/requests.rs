//! What is sent: requests in which nothing is found.

use testbed::client::{Request, Target};

/// The kinds of requests.
pub(crate) const KINDS: [Kind; 4] = [Kind::Get, Kind::Json, Kind::Form, Kind::Upload];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Get,
    Json,
    Form,
    Upload,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Json => "JSON of 700 bytes",
            Self::Form => "form of 10 kB",
            Self::Upload => "upload of 1 MiB",
        }
    }

    pub(crate) fn request(self, to: &Target) -> Request {
        let url = format!("http://{HOST}{}", self.target());
        let request = match self.body() {
            Some((_, body)) => Request::post(&url, body),
            None => Request::get(&url),
        };
        self.headers().into_iter().fold(request, |request, (name, value)| request.header(name, value)).to(to.clone())
    }

    pub(crate) fn target(self) -> &'static str {
        match self {
            Self::Get => "/products/list?category=garden+chairs&sort=price&page=3",
            Self::Json => "/api/orders",
            Self::Form => "/account/address",
            Self::Upload => "/photos",
        }
    }

    /// The body and its type.
    pub(crate) fn body(self) -> Option<(&'static str, Vec<u8>)> {
        match self {
            Self::Get => None,
            Self::Json => Some(("application/json", json().into_bytes())),
            Self::Form => Some(("application/x-www-form-urlencoded", form().into_bytes())),
            Self::Upload => Some(("multipart/form-data; boundary=3f9d2c71a8", upload())),
        }
    }

    /// All headers but the host's.
    pub(crate) fn headers(self) -> Vec<(&'static str, &'static str)> {
        self.body().map(|(kind, _)| ("content-type", kind)).into_iter().chain(BROWSER).collect()
    }
}

pub(crate) const HOST: &str = "shop.example";

const BROWSER: [(&str, &str); 5] = [
    ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    ("accept", "text/html,application/xhtml+xml,application/json;q=0.9,*/*;q=0.8"),
    ("accept-language", "en-GB,en;q=0.5"),
    ("referer", "http://shop.example/products"),
    ("cookie", "basket=6c1f0b7e42; currency=EUR"),
];

/// 700 bytes of an order.
fn json() -> String {
    let item = |number: u32| {
        format!(
            r#"{{"article":"GC-{number}","name":"Folding chair, oak","count":{number},"price":49.90,"gift":false}}"#
        )
    };
    let items: Vec<String> = (1..=5).map(item).collect();
    let mut text = format!(
        r#"{{"customer":{{"name":"Ada Example","city":"Springfield","zip":"12345"}},"items":[{}],"note":""#,
        items.join(",")
    );
    let closing = r#""}"#;
    while text.len() + closing.len() < 700 {
        text.push_str(" please ring twice"[..18.min(700 - closing.len() - text.len())].as_ref());
    }
    text + closing
}

/// 10 kB in twenty fields.
fn form() -> String {
    let words = "the garden is behind the house and the key is with the neighbour on the left ";
    let value: String =
        words.chars().cycle().take(480).map(|letter| if letter == ' ' { '+' } else { letter }).collect();
    (0..20).map(|number| format!("field{number}={value}&")).collect()
}

/// A file of 1 MiB and a field beside it.
fn upload() -> Vec<u8> {
    let part = |head: &str| format!("--3f9d2c71a8\r\ncontent-disposition: form-data; {head}\r\n");
    let mut body = part("name=\"title\"").into_bytes();
    body.extend_from_slice(b"\r\nA chair\r\n");
    body.extend(part("name=\"photo\"; filename=\"chair.jpg\"").bytes());
    body.extend_from_slice(b"content-type: image/jpeg\r\n\r\n");
    // Any bytes: nothing looks at a file's content.
    body.extend((0..1_u32 << 20).map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes()[0]));
    body.extend_from_slice(b"\r\n--3f9d2c71a8--\r\n");
    body
}
