//! Expressions and what is done with two of them.

use std::fmt;
use std::ops::{Add, Div, Mul, Sub};

use super::{Metric, Selector};

/// An expression of PromQL. It's text, checked when a dashboard or a rule is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expr {
    text: String,
    /// Whether it needs parentheses as a part of another one.
    compound: bool,
}

impl Expr {
    /// One that holds together by itself.
    pub(super) fn atom(text: String) -> Self {
        Self { text, compound: false }
    }

    /// Where it is above this.
    #[must_use]
    pub fn above(self, bound: f64) -> Self {
        self.compared(">", bound)
    }

    /// Where it is this or more.
    #[must_use]
    pub fn at_least(self, bound: f64) -> Self {
        self.compared(">=", bound)
    }

    /// Where it is below this.
    #[must_use]
    pub fn below(self, bound: f64) -> Self {
        self.compared("<", bound)
    }

    /// Where it is exactly this.
    #[must_use]
    pub fn equals(self, value: f64) -> Self {
        self.compared("==", value)
    }

    /// Where the other one has series with the same labels, too.
    #[must_use]
    pub fn and(self, other: impl Into<Self>) -> Self {
        self.joined("and", &other.into())
    }

    /// Where the other one has series with these labels, too.
    #[must_use]
    pub fn and_on<const N: usize>(self, labels: [&str; N], other: impl Into<Self>) -> Self {
        self.joined(&format!("and on ({})", labels.join(", ")), &other.into())
    }

    /// And what of the other one is not here.
    #[must_use]
    pub fn or(self, other: impl Into<Self>) -> Self {
        self.joined("or", &other.into())
    }

    /// Where the other one has nothing.
    #[must_use]
    pub fn unless(self, other: impl Into<Self>) -> Self {
        self.joined("unless", &other.into())
    }

    /// Zero where there is nothing at all. For an expression without labels.
    #[must_use]
    pub fn or_zero(self) -> Self {
        self.joined("or", &Self::atom("vector(0)".to_owned()))
    }

    /// Divided by one whose labels are fewer: many series share one divisor.
    #[must_use]
    pub fn per<const N: usize>(self, labels: [&str; N], other: impl Into<Self>) -> Self {
        self.joined(&format!("/ on ({}) group_left ()", labels.join(", ")), &other.into())
    }

    fn compared(self, operator: &str, bound: f64) -> Self {
        Self { text: format!("{} {operator} {bound}", self.operand()), compound: true }
    }

    fn joined(self, operator: &str, other: &Self) -> Self {
        Self { text: format!("{} {operator} {}", self.operand(), other.operand()), compound: true }
    }

    fn operand(&self) -> String {
        if self.compound { format!("({})", self.text) } else { self.text.clone() }
    }
}

macro_rules! operators {
    ($($name:ident $method:ident $operator:literal),*) => {$(
        impl<E: Into<Expr>> $name<E> for Expr {
            type Output = Self;

            fn $method(self, other: E) -> Self {
                self.joined($operator, &other.into())
            }
        }
    )*};
}

operators!(Add add "+", Sub sub "-", Mul mul "*", Div div "/");

impl From<&str> for Expr {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<String> for Expr {
    fn from(text: String) -> Self {
        Self { text, compound: true }
    }
}

impl From<f64> for Expr {
    fn from(number: f64) -> Self {
        Self { text: number.to_string(), compound: number < 0.0 }
    }
}

impl From<Metric> for Expr {
    fn from(metric: Metric) -> Self {
        Selector::from(metric).into()
    }
}

impl From<Selector> for Expr {
    fn from(selector: Selector) -> Self {
        Self::atom(selector.to_string())
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}
