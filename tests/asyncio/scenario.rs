//! Scenarios as they are read: the names and numbers of FORMAT.md, and nothing else.
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// One program: what it uses, and the scripts of its bodies.
#[derive(Debug, Deserialize)]
pub struct Scenario {
    #[serde(default)]
    pub name: Value,
    pub objects: BTreeMap<String, Spec>,
    pub bodies: Vec<Script>,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Spec {
    Event,
    Lock,
    Cond,
    Sem {
        value: usize,
        #[serde(default)]
        bounded: bool,
    },
    Queue {
        kind: Kind,
        maxsize: usize,
    },
    Barrier {
        parties: usize,
    },
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Fifo,
    Lifo,
    Priority,
}

#[derive(Debug, Deserialize)]
pub struct Script {
    pub id: usize,
    #[serde(default)]
    pub start: bool,
    pub ops: Vec<Vec<Value>>,
}

/// An operation: its name and its arguments.
#[derive(Clone, Copy, Debug)]
pub struct Op<'s>(pub &'s [Value]);

impl<'s> Op<'s> {
    pub fn of(value: &'s Value) -> Self {
        Self(value.as_array().expect("an op is a list"))
    }

    pub fn name(self) -> &'s str {
        self.0[0].as_str().expect("an op begins with its name")
    }

    pub fn arg(self, nth: usize) -> &'s Value {
        &self.0[nth]
    }

    pub fn text(self, nth: usize) -> &'s str {
        self.arg(nth).as_str().expect("a name")
    }

    pub fn number(self, nth: usize) -> usize {
        self.arg(nth).as_u64().expect("a number") as usize
    }

    pub fn flag(self, nth: usize) -> bool {
        self.arg(nth).as_bool().expect("true or false")
    }

    pub fn ids(self, nth: usize) -> Vec<usize> {
        let ids = self.arg(nth).as_array().expect("a list of ids");
        ids.iter().map(|id| id.as_u64().expect("an id") as usize).collect()
    }

    /// Whether it asks for what asyncio keeps for those in line once it is free.
    pub fn is_reserved(self) -> bool {
        matches!(self.name(), "lock_acquire" | "cond_acquire" | "sem_acquire")
    }
}

/// What an op came to: the rest of its record.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome(pub Vec<Value>);

impl Outcome {
    pub fn ok() -> Self {
        Self(vec!["ok".into()])
    }

    pub fn value(value: impl Into<Value>) -> Self {
        Self(vec!["value".into(), value.into()])
    }

    pub fn timeout() -> Self {
        Self(vec!["timeout".into()])
    }

    pub fn would_block() -> Self {
        Self(vec!["would_block".into()])
    }

    pub fn error(name: &str) -> Self {
        Self(vec!["error".into(), name.into()])
    }

    pub fn cancelled() -> Self {
        Self(vec!["cancelled".into()])
    }

    pub fn is_served(&self) -> bool {
        self.0[0] == "ok" || self.0[0] == "value"
    }

    /// With what stands before it.
    pub fn after(self, before: Value) -> Value {
        let Value::Array(mut row) = before else { unreachable!("a record is a list") };
        row.extend(self.0);
        Value::Array(row)
    }
}

/// How a body ended.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    Ok,
    Error(String),
    Cancelled,
}

impl End {
    /// `[ID, "ok"]` and so on.
    pub fn of(&self, id: usize) -> Value {
        match self {
            Self::Ok => json!([id, "ok"]),
            Self::Error(name) => json!([id, "error", name]),
            Self::Cancelled => json!([id, "cancelled"]),
        }
    }

    /// To be without it is to fail.
    pub fn into_result(self) -> Result<(), Self> {
        if self == Self::Ok { Ok(()) } else { Err(self) }
    }

    /// What a body that waited for it alone sees.
    pub fn outcome(&self, value: impl Into<Value>) -> Outcome {
        match self {
            Self::Ok => Outcome::value(value),
            Self::Error(name) => Outcome::error(name),
            Self::Cancelled => Outcome::error("Cancelled"),
        }
    }
}
