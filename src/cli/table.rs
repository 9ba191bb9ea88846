//! Aligned columns.

/// The width of a terminal that nobody has made wider.
const WIDTH: usize = 80;

/// Text in rows and columns, where numbers stand on the right of their column, and text on the left. Columns stand
/// closer together if they would be too wide for a terminal otherwise.
pub struct Table {
    headings: Vec<String>,
    rows: Vec<Vec<Option<String>>>,
}

impl Table {
    /// A table of rows of named cells. Columns are in the order in which their names are first seen; where a
    /// row has none of a name, the cell shows `-`.
    pub fn new(rows: Vec<Vec<(String, String)>>) -> Self {
        let mut table = Self { headings: Vec::new(), rows: Vec::new() };
        for cells in rows {
            let mut row = Vec::new();
            for (heading, text) in cells {
                let column = table.headings.iter().position(|known| *known == heading);
                let column = column.unwrap_or_else(|| {
                    table.headings.push(heading);
                    table.headings.len() - 1
                });
                if row.len() <= column {
                    row.resize(column + 1, None);
                }
                row[column] = Some(text);
            }
            table.rows.push(row);
        }
        table
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let cell = |row: &Vec<Option<String>>, column: usize| -> String {
            row.get(column).cloned().flatten().unwrap_or_else(|| "-".to_owned())
        };
        let columns: Vec<(usize, bool)> = (0..self.headings.len())
            .map(|column| {
                let cells: Vec<String> = self.rows.iter().map(|row| cell(row, column)).collect();
                let longest = cells.iter().map(|cell| cell.chars().count()).max().unwrap_or(0);
                // `7/10` too; a missing cell is `-`.
                let is_number = |cell: &String| cell.starts_with(|c: char| c == '-' || c.is_ascii_digit());
                let numbers = cells.iter().all(is_number);
                (longest.max(self.headings[column].chars().count()), numbers)
            })
            .collect();
        let full: usize = columns.iter().map(|(width, _)| width + 2).sum();
        let gap = if full > WIDTH + 2 { " " } else { "  " };
        let mut line = |cells: Vec<String>| {
            let mut text = String::new();
            for (cell, &(width, right)) in cells.iter().zip(&columns) {
                text += &if right { format!("{cell:>width$}{gap}") } else { format!("{cell:<width$}{gap}") };
            }
            writeln!(f, "{}", text.trim_end())
        };
        line(self.headings.clone())?;
        for row in &self.rows {
            line((0..columns.len()).map(|column| cell(row, column)).collect())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Table;

    #[test]
    fn columns_are_aligned_and_missing_cells_are_shown() {
        let row =
            |cells: &[(&str, &str)]| cells.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect();
        let table = Table::new(vec![
            row(&[("name", "tasks"), ("length", "5")]),
            row(&[("name", "größer"), ("value", "x"), ("length", "12345678")]),
        ]);
        let expected = "\
name      length  value
tasks          5  -
größer  12345678  x
";
        assert_eq!(table.to_string(), expected);
    }
}
