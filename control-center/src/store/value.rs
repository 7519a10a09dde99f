//! What goes into a statement and what comes out of it: four kinds of value that both engines have, and the typed
//! identifiers of the contracts read back through the same check as from outside.

use std::borrow::Cow;

use control_protocol::{
    AreaId, CameraId, CaseId, Digest, HallId, NodeId, PositionId, UtcMillis, WindowId, event::Grade,
};

use super::StoreError;

/// One argument of a statement, borrowed where it can be.
#[derive(Debug, Clone, PartialEq)]
pub enum Param<'a> {
    /// SQL NULL.
    Null,
    /// A 64-bit integer; also booleans (0, 1) and times (UTC milliseconds).
    Int(i64),
    /// Text.
    Text(Cow<'a, str>),
    /// Bytes.
    Blob(&'a [u8]),
}

/// What can stand as an argument.
pub trait ToParam {
    /// The value as an argument.
    fn to_param(&self) -> Param<'_>;
}

macro_rules! to_int {
    ($($t:ty),*) => {$(
        impl ToParam for $t {
            fn to_param(&self) -> Param<'_> { Param::Int(i64::from(*self)) }
        }
    )*};
}
to_int!(i64, i32, u32, u16, u8, bool);

impl ToParam for u64 {
    /// Epochs and sequence numbers; beyond 2^63 it is held at the end, which no clock or journal reaches.
    fn to_param(&self) -> Param<'_> {
        Param::Int(i64::try_from(*self).unwrap_or(i64::MAX))
    }
}
impl ToParam for usize {
    fn to_param(&self) -> Param<'_> {
        Param::Int(i64::try_from(*self).unwrap_or(i64::MAX))
    }
}
impl ToParam for str {
    fn to_param(&self) -> Param<'_> {
        Param::Text(Cow::Borrowed(self))
    }
}
impl ToParam for String {
    fn to_param(&self) -> Param<'_> {
        Param::Text(Cow::Borrowed(self))
    }
}
impl ToParam for [u8] {
    fn to_param(&self) -> Param<'_> {
        Param::Blob(self)
    }
}
impl ToParam for Vec<u8> {
    fn to_param(&self) -> Param<'_> {
        Param::Blob(self)
    }
}
impl ToParam for bytes::Bytes {
    fn to_param(&self) -> Param<'_> {
        Param::Blob(self)
    }
}
impl ToParam for UtcMillis {
    fn to_param(&self) -> Param<'_> {
        Param::Int(self.0)
    }
}
impl ToParam for Digest {
    fn to_param(&self) -> Param<'_> {
        Param::Blob(self.as_bytes())
    }
}
impl ToParam for CaseId {
    fn to_param(&self) -> Param<'_> {
        Param::Text(Cow::Owned(self.to_string()))
    }
}
impl ToParam for Grade {
    fn to_param(&self) -> Param<'_> {
        Param::Int(i64::from(self.value()))
    }
}
impl<T: ToParam> ToParam for Option<T> {
    fn to_param(&self) -> Param<'_> {
        self.as_ref().map_or(Param::Null, ToParam::to_param)
    }
}
impl<T: ToParam + ?Sized> ToParam for &T {
    fn to_param(&self) -> Param<'_> {
        (**self).to_param()
    }
}

/// Arguments of a statement: `params![hall, at]`.
#[macro_export]
macro_rules! params {
    () => { &[] };
    ($($value:expr),+ $(,)?) => { &[$($crate::store::ToParam::to_param(&$value)),+] };
}

/// One value of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// SQL NULL.
    Null,
    /// An integer.
    Int(i64),
    /// Text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

impl ToParam for Cell {
    fn to_param(&self) -> Param<'_> {
        match self {
            Self::Null => Param::Null,
            Self::Int(value) => Param::Int(*value),
            Self::Text(text) => Param::Text(Cow::Borrowed(text)),
            Self::Blob(bytes) => Param::Blob(bytes),
        }
    }
}

/// One row of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Row(pub(super) Vec<Cell>);

impl Row {
    /// Every value.
    pub fn cells(&self) -> &[Cell] {
        &self.0
    }

    /// The value of column `at`, counted from 0. An error if there is no such column or it holds another type: then
    /// the statement and the code that reads it disagree.
    pub fn get<T: FromCell>(&self, at: usize) -> Result<T, StoreError> {
        let cell = self.0.get(at).ok_or_else(|| StoreError::Read(format!("no column {at}")))?;
        T::from_cell(cell).map_err(|what| StoreError::Read(format!("column {at}: {what}")))
    }
}

/// What can be read from a row.
pub trait FromCell: Sized {
    /// The value, or what was found in its place.
    fn from_cell(cell: &Cell) -> Result<Self, String>;
}

fn found(wanted: &str, cell: &Cell) -> String {
    let found = match cell {
        Cell::Null => "NULL",
        Cell::Int(_) => "an integer",
        Cell::Text(_) => "text",
        Cell::Blob(_) => "bytes",
    };
    format!("{found} where {wanted} should be")
}

macro_rules! from_int {
    ($($t:ty),*) => {$(
        impl FromCell for $t {
            fn from_cell(cell: &Cell) -> Result<Self, String> {
                match cell {
                    Cell::Int(value) => Self::try_from(*value).map_err(|e| e.to_string()),
                    other => Err(found("an integer", other)),
                }
            }
        }
    )*};
}
from_int!(i64, u64, i32, u32, u8);

impl FromCell for bool {
    fn from_cell(cell: &Cell) -> Result<Self, String> {
        i64::from_cell(cell).map(|value| value != 0)
    }
}
impl FromCell for String {
    fn from_cell(cell: &Cell) -> Result<Self, String> {
        match cell {
            Cell::Text(text) => Ok(text.clone()),
            other => Err(found("text", other)),
        }
    }
}
impl FromCell for Vec<u8> {
    fn from_cell(cell: &Cell) -> Result<Self, String> {
        match cell {
            Cell::Blob(bytes) => Ok(bytes.clone()),
            other => Err(found("bytes", other)),
        }
    }
}
impl FromCell for UtcMillis {
    fn from_cell(cell: &Cell) -> Result<Self, String> {
        i64::from_cell(cell).map(UtcMillis)
    }
}
impl FromCell for Digest {
    fn from_cell(cell: &Cell) -> Result<Self, String> {
        match cell {
            Cell::Blob(bytes) => Digest::from_slice(bytes).map_err(|e| e.to_string()),
            other => Err(found("bytes", other)),
        }
    }
}
impl<T: FromCell> FromCell for Option<T> {
    fn from_cell(cell: &Cell) -> Result<Self, String> {
        match cell {
            Cell::Null => Ok(None),
            cell => T::from_cell(cell).map(Some),
        }
    }
}

macro_rules! id {
    ($($t:ty),*) => {$(
        impl ToParam for $t {
            fn to_param(&self) -> Param<'_> { Param::Text(Cow::Borrowed(self.as_str())) }
        }
        impl FromCell for $t {
            fn from_cell(cell: &Cell) -> Result<Self, String> {
                String::from_cell(cell)?.parse().map_err(|e: control_protocol::ids::BadId| e.to_string())
            }
        }
    )*};
}
id!(AreaId, HallId, WindowId, CameraId, PositionId, NodeId);

impl FromCell for CaseId {
    fn from_cell(cell: &Cell) -> Result<Self, String> {
        String::from_cell(cell)?.parse().map_err(|e: control_protocol::case_id::BadCaseId| e.to_string())
    }
}
