//! The walls as a page for readers, made from the table that is checked.

use anyhow::Result;

use super::table;

/// `docs/rooms.md`.
pub(crate) fn page() -> Result<Vec<(String, String)>> {
    let table = table()?;
    let mut page = String::from(
        "<!-- Generated from crates/rooms.toml by `cargo xtask gen`. -->\n\n# Rooms and walls\n\n\
         Each crate is a room. `cargo xtask rooms` fails when a crate uses one that its row does not name.\n\n\
         | crate | may use |\n|---|---|\n",
    );
    for (room, uses) in &table.rooms {
        let row = match uses.as_slice() {
            [] => "–".to_owned(),
            [all] if all == "*" => "all".to_owned(),
            some => some.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
        };
        page.push_str(&format!("| `{room}` | {row} |\n"));
    }
    page.push_str("\nSome third-party crates are tied to rooms:\n\n| crate | only in | because |\n|---|---|---|\n");
    for heavy in &table.heavy {
        let mut crates = heavy.crates.join(", ");
        if !heavy.features.is_empty() {
            crates.push_str(&format!(" (features {})", heavy.features.join(", ")));
        }
        page.push_str(&format!("| {crates} | {} | {} |\n", heavy.rooms.join(", "), heavy.why));
    }
    page.push_str("\nA lint that one room alone may switch off:\n\n| lint | only in | because |\n|---|---|---|\n");
    for fence in &table.fences {
        page.push_str(&format!("| `{}` | {} | {} |\n", fence.lint, fence.room, fence.why));
    }
    Ok(vec![("docs/rooms.md".to_owned(), page)])
}
