//! One suite over the table of providers: what each makes of every request that stands in `fixtures/requests`, and the
//! laws that hold for all of them.

mod golden;
mod laws;
mod stage;
