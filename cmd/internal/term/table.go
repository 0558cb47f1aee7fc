package term

import "strings"

// Table is text in aligned columns. Cells may hold colour. The zero Table is empty.
type Table struct {
	head  []string
	rows  [][]string
	right map[int]bool
}

// NewTable returns a table with the given column titles. A title that begins with ">" is for a column set flush right.
func NewTable(head ...string) *Table {
	t := &Table{right: map[int]bool{}}
	for i, h := range head {
		if rest, ok := strings.CutPrefix(h, ">"); ok {
			t.right[i], h = true, rest
		}
		t.head = append(t.head, h)
	}
	return t
}

// Row adds a row; missing cells are empty.
func (t *Table) Row(cells ...string) { t.rows = append(t.rows, cells) }

// Lines returns the table's lines, titles first, without line ends.
func (t *Table) Lines(s Style) []string {
	width := make([]int, len(t.head))
	for _, row := range append([][]string{t.head}, t.rows...) {
		for i, cell := range row {
			if i < len(width) {
				width[i] = max(width[i], VisibleLen(cell))
			}
		}
	}
	head := make([]string, len(t.head))
	for i, h := range t.head {
		head[i] = s.Dim(h)
	}
	lines := []string{t.line(head, width)}
	for _, row := range t.rows {
		lines = append(lines, t.line(row, width))
	}
	return lines
}

func (t *Table) line(cells []string, width []int) string {
	var b strings.Builder
	for i, w := range width {
		cell := ""
		if i < len(cells) {
			cell = cells[i]
		}
		pad := strings.Repeat(" ", w-VisibleLen(cell))
		if i > 0 {
			b.WriteString("  ")
		}
		if t.right[i] {
			b.WriteString(pad + cell)
		} else {
			b.WriteString(cell + pad)
		}
	}
	return strings.TrimRight(b.String(), " ")
}
