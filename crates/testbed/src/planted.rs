//! Texts that are planted to be looked for where they must not be.

use base64::prelude::{BASE64_STANDARD_NO_PAD, Engine as _};

/// The forms in which a text may stand in another: as it is, and as base64 of anything that has it in it. How that encodes the
/// text depends on where in its group of three bytes the text begins; letters that its neighbours have a part in are left out.
pub fn forms(text: &str) -> [String; 4] {
    let encoded = |before: usize| {
        let bytes = [&[0; 2][..before], text.as_bytes()].concat();
        // A letter is six bits.
        let (first, end) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
        BASE64_STANDARD_NO_PAD.encode(bytes)[first..end].to_owned()
    };
    [text.to_owned(), encoded(0), encoded(1), encoded(2)]
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "canary-3e9f51";

    #[test]
    fn it_is_found_wherever_it_begins_and_whatever_stands_beside_it() {
        let forms = forms(TEXT);
        let found = |text: &str| forms.iter().filter(|form| text.contains(*form)).count();
        for neighbour in ["\0", "a", "\u{7f}"] {
            for offset in 0..6 {
                let (before, after) = (neighbour.repeat(offset), neighbour.repeat(6 - offset));
                let whole = format!("{before}{TEXT}{after}");
                assert_eq!(found(&whole), 1, "as it is, after {offset}");
                assert_eq!(found(&BASE64_STANDARD_NO_PAD.encode(&whole)), 1, "encoded, after {offset}");
            }
        }
        assert_eq!(found(&BASE64_STANDARD_NO_PAD.encode("canary-3e8f51 and others")), 0);
    }

    #[test]
    fn all_of_it_that_is_its_own_is_looked_for() {
        let lengths = forms(TEXT).map(|form| form.len());
        assert_eq!(lengths, [13, 17, 16, 17]);
    }
}
