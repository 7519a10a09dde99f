//! A list as a file: with the filters and the order it is shown with, under a title that says who took it and when. A CSV is
//! read and sent part by part, so that a year of a region fits through; an XLSX is held whole and has fewer rows. That
//! somebody took it is in the audit log. Never decides who may see a row: the room reads them.

use std::{collections::HashMap, sync::Arc};

use axum::response::Response;
use futures_util::{Stream, StreamExt, stream};
use jiff::tz::TimeZone;

use super::{
    list::{Order, Page},
    problem::Problem,
};
use crate::{
    Centre,
    access::{Person, audit},
    areas,
    sheets::{Form, MOST_XLSX_ROWS, Sheet, Tongue, Value, streamed_csv},
    statistics,
    store::{Sql, Store, StoreError},
};

/// Rows read at once.
const PART: usize = 2_000;
/// The most rows of one CSV.
const MOST_CSV_ROWS: usize = 5_000_000;

/// Chinese and English.
pub type Words = (&'static str, &'static str);

/// What list it is.
#[derive(Debug)]
pub struct Kind {
    /// How the audit log calls it, such as `cases.exported`.
    pub action: &'static str,
    /// The title.
    pub title: Words,
    /// The heads of the columns.
    pub columns: &'static [Words],
}

/// A file that is about to be written.
pub struct ListFile {
    store: Store,
    sheet: Sheet,
    form: Form,
    /// Names of the halls that the reader may see, by id.
    pub halls: HashMap<String, String>,
}

impl ListFile {
    /// Writes down who takes what (`told`: with which conditions), and finds what stands above the rows.
    ///
    /// # Errors
    /// The store's.
    pub async fn begin(
        centre: &Centre,
        person: &Person,
        kind: &Kind,
        (form, tongue): (Form, Tongue),
        told: String,
    ) -> Result<Self, Problem> {
        let found = areas::find(centre, person.clone()).await?;
        let first = found.halls.first().and_then(|(hall, _)| hall.id.parse().ok());
        let (asker, now, action) = (person.clone(), centre.clock.now(), kind.action);
        let zone = centre
            .store
            .write("audit of an export", move |tx| {
                let object = action.split_once('.').map_or(action, |(object, _)| object);
                audit::audit(tx.sql, &asker, action, object, &told, now)?;
                first.map_or(Ok(TimeZone::UTC), |hall| statistics::zone(tx.sql, &hall))
            })
            .await?;
        let made = now.timestamp().to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string();
        let of = |words: Words| tongue.of(words.0, words.1).to_owned();
        let sheet = Sheet {
            title: of(kind.title),
            facts: vec![
                (of(("制表人", "Made by")), person.name.to_string()),
                (of(("制表时间", "Made at")), made),
            ],
            columns: kind.columns.iter().map(|words| of(*words)).collect(),
            rows: Vec::new(),
            total: None,
            zone,
        };
        Ok(Self {
            store: centre.store.clone(),
            sheet,
            form,
            halls: found.halls.into_iter().map(|(hall, _)| (hall.id, hall.name)).collect(),
        })
    }

    /// Rows that are held already.
    ///
    /// # Errors
    /// Too many for an XLSX.
    pub async fn of_rows(mut self, rows: Vec<Vec<Value>>) -> Result<Response, Problem> {
        self.sheet.rows = rows;
        self.sheet.file(self.form).await
    }

    /// Rows of the database in this order: `page` reads a part of them, `cells` writes a row.
    ///
    /// # Errors
    /// The store's; too many rows for an XLSX.
    pub async fn of_list<T, P, C>(self, order: &Order, page: P, cells: C) -> Result<Response, Problem>
    where
        T: Send + 'static,
        P: Fn(&mut dyn Sql, &Order) -> Result<Page<T>, StoreError> + Send + Sync + 'static,
        C: Fn(T) -> Vec<Value> + Send + 'static,
    {
        if self.form == Form::Xlsx {
            let whole = order.whole(MOST_XLSX_ROWS + 1);
            let page = self.store.read(move |sql| page(sql, &whole)).await?;
            return self.of_rows(page.items.into_iter().map(cells).collect()).await;
        }
        let parts = parts(self.store, order, page)
            .map(move |part| part.map(|rows| rows.into_iter().map(&cells).collect::<Vec<_>>()));
        let Sheet { title, facts, columns, zone, .. } = &self.sheet;
        Ok(streamed_csv(title, facts, columns, parts, zone.clone()))
    }
}

/// The rows of a list part by part, each read when the one before has been sent.
fn parts<T, P>(
    store: Store,
    order: &Order,
    page: P,
) -> impl Stream<Item = Result<Vec<T>, StoreError>> + use<T, P>
where
    T: Send + 'static,
    P: Fn(&mut dyn Sql, &Order) -> Result<Page<T>, StoreError> + Send + Sync + 'static,
{
    let page = Arc::new(page);
    stream::unfold((Some(order.whole(PART)), 0), move |(order, given)| {
        let (store, page) = (store.clone(), page.clone());
        async move {
            let order = order.filter(|_| given < MOST_CSV_ROWS)?;
            let here = order.clone();
            match store.read(move |sql| page(sql, &here)).await {
                Ok(read) => {
                    let given = given + read.items.len();
                    Some((Ok(read.items), (order.onward(read.next.as_deref(), PART), given)))
                }
                Err(error) => Some((Err(error), (None, given))),
            }
        }
    })
}
