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
        let request = match self {
            Self::Get => Request::get("http://shop.example/products/list?category=garden+chairs&sort=price&page=3"),
            Self::Json => {
                Request::post("http://shop.example/api/orders", json()).header("content-type", "application/json")
            }
            Self::Form => Request::post("http://shop.example/account/address", form())
                .header("content-type", "application/x-www-form-urlencoded"),
            Self::Upload => Request::post("http://shop.example/photos", upload())
                .header("content-type", "multipart/form-data; boundary=3f9d2c71a8"),
        };
        let browser = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
        request
            .header("user-agent", browser)
            .header("accept", "text/html,application/xhtml+xml,application/json;q=0.9,*/*;q=0.8")
            .header("accept-language", "en-GB,en;q=0.5")
            .header("referer", "http://shop.example/products")
            .header("cookie", "basket=6c1f0b7e42; currency=EUR")
            .to(to.clone())
    }
}

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
