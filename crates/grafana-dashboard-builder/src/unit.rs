//! Units, as Grafana names them.

/// What a number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unit {
    /// A plain number, abbreviated when it is large (`12.3 K`).
    Number,
    /// A plain number in full.
    Full,
    /// A share as 0 to 1, shown as percent.
    Ratio,
    /// A share as 0 to 100.
    Percent,
    /// Seconds, shown as the unit that fits.
    Seconds,
    /// Milliseconds, shown as the unit that fits.
    Milliseconds,
    /// A point in time as milliseconds since 1970, shown as time ago or to come.
    SinceEpoch,
    /// Bytes in powers of 1024.
    Bytes,
    /// Bytes a second in powers of 1024.
    BytesPerSecond,
    /// Bits a second in powers of 1000.
    BitsPerSecond,
    /// Requests a second.
    RequestsPerSecond,
    /// Operations a second.
    OpsPerSecond,
    /// Events a second, by whatever counter.
    CountsPerSecond,
    /// Messages a second.
    MessagesPerSecond,
    /// Reads a second.
    ReadsPerSecond,
    /// Writes a second.
    WritesPerSecond,
    /// Times a minute.
    CountsPerMinute,
    /// Days.
    Days,
    /// Yes for 1, no for 0.
    YesNo,
    /// On for 1, off for 0.
    OnOff,
    /// Text.
    Text,
}

impl Unit {
    /// All of them.
    pub const ALL: [Self; 21] = [
        Self::Number,
        Self::Full,
        Self::Ratio,
        Self::Percent,
        Self::Seconds,
        Self::Milliseconds,
        Self::SinceEpoch,
        Self::Bytes,
        Self::BytesPerSecond,
        Self::BitsPerSecond,
        Self::RequestsPerSecond,
        Self::OpsPerSecond,
        Self::CountsPerSecond,
        Self::MessagesPerSecond,
        Self::ReadsPerSecond,
        Self::WritesPerSecond,
        Self::CountsPerMinute,
        Self::Days,
        Self::YesNo,
        Self::OnOff,
        Self::Text,
    ];

    /// Grafana's name of it.
    pub fn id(self) -> &'static str {
        match self {
            Self::Number => "short",
            Self::Full => "none",
            Self::Ratio => "percentunit",
            Self::Percent => "percent",
            Self::Seconds => "s",
            Self::Milliseconds => "ms",
            Self::SinceEpoch => "dateTimeFromNow",
            Self::Bytes => "bytes",
            Self::BytesPerSecond => "binBps",
            Self::BitsPerSecond => "bps",
            Self::RequestsPerSecond => "reqps",
            Self::OpsPerSecond => "ops",
            Self::CountsPerSecond => "cps",
            Self::MessagesPerSecond => "mps",
            Self::ReadsPerSecond => "rps",
            Self::WritesPerSecond => "wps",
            Self::CountsPerMinute => "cpm",
            Self::Days => "d",
            Self::YesNo => "bool_yes_no",
            Self::OnOff => "bool_on_off",
            Self::Text => "string",
        }
    }
}
