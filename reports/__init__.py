"""From benchmark JSON to figures, tables and one page. Imports neither torch nor the suite, but for its record."""
