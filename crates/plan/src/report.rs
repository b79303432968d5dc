//! A forecast in words and numbers: for people, as one JSON object, and against another one.

mod difference;
mod json;
mod table;
mod text;

use std::time::Duration;

use relay_core::Usage;

use crate::estate::{Estate, Known};
use crate::forecast::{Advice, Forecast, Raise};
use crate::plot;
use crate::workload::Workload;
use crate::world::{Served, Spans};

pub use self::difference::Difference;
pub(crate) use self::text::span;

/// See the module.
#[derive(Clone, Debug)]
pub struct Report {
    /// What the configuration is called.
    pub configuration: String,
    /// What the workload is called.
    pub workload: String,
    /// Of all chance there was.
    pub seed: u64,
    /// How much of a rate a full bucket holds.
    pub burst: Duration,
    /// The organizations.
    pub organizations: Vec<Held>,
    /// What the kinds of calls are called.
    pub kinds: Vec<String>,
    /// What each key carried, in the order of the configuration.
    pub keys: Vec<KeyLine>,
    /// Models, with what was paid for each if that is known.
    pub models: Vec<ModelLine>,
    /// What else is to be said.
    pub notes: Vec<String>,
    /// The numbers.
    pub forecast: Forecast,
}

/// An organization.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Held {
    /// Its name.
    pub name: String,
    /// What it has a minute.
    pub rates: [Option<u64>; 3],
    /// Where that is known from.
    pub known: [Known; 3],
}

/// What became of the calls of one kind, or of all.
#[derive(Clone, Copy, Debug)]
struct KindLine<'a> {
    name: &'a str,
    served: Served,
    waits: &'a Spans,
    told: &'a Spans,
}

/// A key, and what it carried.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyLine {
    /// Its provider and what operators call it.
    pub name: String,
    /// The organization that it is taken to be of.
    pub organization: String,
    /// Calls that it answered.
    pub answered: u64,
    /// Requests that were refused for a limit.
    pub refused: u64,
    /// What they used.
    pub usage: Usage,
}

/// A model, and what was paid for it.
#[derive(Clone, PartialEq, Debug)]
pub struct ModelLine {
    /// Its name.
    pub name: String,
    /// Calls that it answered.
    pub answered: u64,
    /// Dollars, if its price is known.
    pub dollars: Option<f64>,
}

impl Report {
    /// The report of a forecast.
    pub fn new(
        forecast: Forecast,
        (estate, workload): (&Estate, &Workload),
        configuration: &str,
        seed: u64,
    ) -> Self {
        let organizations = estate.provider.organizations.iter().enumerate().map(|(place, held)| Held {
            name: held.id.clone(),
            rates: [0, 1, 2].map(|meter| estate.rate(place, meter)),
            known: estate.known[place],
        });
        let organizations: Vec<Held> = organizations.collect();
        let all = estate.fleet.providers.iter().flat_map(|it| it.keys.iter().map(move |key| (it, key)));
        let keys = all.map(|(provider, key)| {
            let carried = forecast.outcome.keys.get(&key.id).copied().unwrap_or_default();
            let account = estate.accounts.get(&key.id);
            let organization = account.and_then(|account| organizations.get(account.organization));
            KeyLine {
                name: format!("{}/{}", provider.name, key.label),
                organization: organization.map_or_else(String::new, |held| held.name.clone()),
                answered: carried.answered,
                refused: carried.refused,
                usage: carried.usage,
            }
        });
        let keys = keys.collect();
        let models = workload.models.iter().zip(&forecast.outcome.models).map(|(name, served)| ModelLine {
            name: name.clone(),
            answered: served.answered,
            dollars: estate.fleet.prices.of(name).map(|_| served.dollars),
        });
        let models = models.collect();
        let burst = estate.provider.organizations.first().map_or(Duration::ZERO, |held| held.limit.burst);
        Self {
            configuration: configuration.to_owned(),
            workload: workload.name.clone(),
            kinds: workload.kinds.clone(),
            seed,
            burst,
            organizations,
            keys,
            models,
            notes: Vec::new(),
            forecast,
        }
    }

    /// Dollars for all calls whose price is known. None if it is known of none.
    pub fn dollars(&self) -> Option<f64> {
        let mut known = self.models.iter().filter_map(|model| model.dollars).peekable();
        known.peek().is_some().then(|| known.sum())
    }

    /// Calls a minute that the limits carry at best. None if there is no limit.
    pub fn most_calls(&self) -> Option<f64> {
        let part = self.forecast.of_optimum.filter(|part| *part > 0.0)?;
        Some(self.forecast.outcome.throughput() / part)
    }

    fn kinds(&self) -> impl Iterator<Item = KindLine<'_>> {
        let outcome = &self.forecast.outcome;
        self.kinds.iter().enumerate().map(|(kind, name)| KindLine {
            name,
            served: outcome.kinds[kind],
            waits: &outcome.waits.kinds[kind],
            told: &outcome.told.kinds[kind],
        })
    }

    fn all(&self) -> KindLine<'_> {
        let outcome = &self.forecast.outcome;
        KindLine { name: "all", served: outcome.all(), waits: &outcome.waits.all, told: &outcome.told.all }
    }

    /// Models whose price is not known.
    pub fn unpriced(&self) -> impl Iterator<Item = &str> {
        self.models.iter().filter(|model| model.dollars.is_none()).map(|model| model.name.as_str())
    }

    /// The limit to raise first, if one holds calls back.
    pub fn first(&self) -> Option<&Raise> {
        self.forecast.raises.first().filter(|_| self.forecast.advice != Advice::Nothing)
    }

    /// The same as a picture.
    pub fn svg(&self) -> String {
        plot::svg(&self.forecast.outcome, &format!("{}: {}", self.configuration, self.workload))
    }

    fn holder(&self, organization: usize) -> &str {
        self.organizations.get(organization).map_or("", |held| held.name.as_str())
    }
}
