//! Changes that attackers try: single bytes, case, encodings, parts moved, doubled and lost. The same seed makes the same.

use crate::chance::Chance;
use crate::transaction::Transaction;

/// What is put in somewhere.
const PIECES: [&[u8]; 24] = [
    b"'",
    b"\"",
    b"`",
    b"\0",
    b"%00",
    b"/*",
    b"*/",
    b"--",
    b";",
    b"../",
    b"..\\",
    b"<script>",
    b"\r\n",
    b"%0d%0a",
    b"${",
    b"{{",
    b"$(",
    b"&",
    b"=",
    b"+",
    b"%u0027",
    b"\\x27",
    b"\xc0\xaf",
    b"&#x27;",
];

const TYPES: [&str; 7] = [
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/json",
    "application/xml",
    "text/plain",
    "application/json; charset=utf-7",
    "text/html",
];

/// A transaction with one to four changes; `other` lends parts of its own.
pub(crate) fn mutated(transaction: &Transaction, other: &Transaction, chance: &mut Chance) -> Transaction {
    let mut one = transaction.clone();
    for _ in 0..=chance.below(4) {
        let headers = one.headers.len();
        match chance.below(8) {
            0..=2 => change(&mut one.target, &other.target, chance),
            3..=4 if !one.body.is_empty() => change(&mut one.body, &other.body, chance),
            5 if headers > 0 => change(&mut one.headers[chance.below(headers)].1, &other.target, chance),
            6 => retyped(&mut one, chance),
            _ if !one.body.is_empty() => change(&mut one.body, &other.target, chance),
            _ => change(&mut one.target, &other.body, chance),
        }
    }
    one
}

fn retyped(one: &mut Transaction, chance: &mut Chance) {
    let kind = chance.of(&TYPES).as_bytes().to_vec();
    match one.headers.iter_mut().find(|(name, _)| name == "content-type") {
        Some((_, value)) => *value = kind,
        None => one.headers.push(("content-type".to_owned(), kind)),
    }
}

fn change(text: &mut Vec<u8>, other: &[u8], chance: &mut Chance) {
    let range = chance.range(text.len(), 24);
    let part = text[range.clone()].to_vec();
    let new = match chance.below(12) {
        0 => {
            part.iter().map(|byte| byte ^ (1 << chance.below(8))).take(1).chain(part.iter().copied().skip(1)).collect()
        }
        1 => part.iter().map(|byte| if byte.is_ascii_alphabetic() { byte ^ 0x20 } else { *byte }).collect(),
        2 => encoded(&part, |byte| format!("%{byte:02X}")),
        3 => encoded(&part, |byte| format!("%25{byte:02x}")),
        4 => encoded(&part, |byte| format!("%u00{byte:02x}")),
        5 => encoded(&part, |byte| format!("&#{byte};")),
        6 => encoded(&part, |byte| format!("\\x{byte:02x}")),
        7 => [&part[..], chance.of(&PIECES), &part[..]].concat(),
        8 => Vec::new(),
        9 => [&part[..], chance.of(&PIECES)].concat(),
        10 => part.iter().flat_map(|byte| [*byte, b' ']).collect(),
        _ => other[chance.range(other.len(), 48)].to_vec(),
    };
    text.splice(range, new);
}

fn encoded(part: &[u8], one: impl Fn(u8) -> String) -> Vec<u8> {
    part.iter().flat_map(|byte| one(*byte).into_bytes()).collect()
}
