//! A table for a terminal: names to the left, and numbers to the right.

use std::fmt::{Formatter, Result};

/// Writes an empty line, the heads and the lines. The first column has names, the others numbers.
pub(super) fn table(f: &mut Formatter<'_>, heads: &[&str], lines: &[Vec<String>]) -> Result {
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count());
        cells.chain([heads[column].chars().count()]).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    writeln!(f)?;
    let heads: Vec<String> = heads.iter().map(|head| (*head).to_owned()).collect();
    for line in [&heads].into_iter().chain(lines) {
        for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
            if column == 0 { write!(f, "{cell:<width$}")? } else { write!(f, "  {cell:>width$}")? }
        }
        writeln!(f)?;
    }
    Ok(())
}
