package resp

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The table of README names the commands there are, and all of them.
func TestReadmeNamesTheCommands(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(readme), "| | commands |")
	table, _, _ = strings.Cut(table, "\n\n")
	named := regexp.MustCompile(`\b[A-Z]+\b`).FindAllString(table, -1)
	slices.Sort(named)
	var there []string
	for name := range maps.Keys(commandTable()) {
		if name != tooLarge && name != tooMany {
			there = append(there, strings.ToUpper(name))
		}
	}
	slices.Sort(there)
	if !slices.Equal(named, there) {
		t.Errorf("README names\n%q, there are\n%q", named, there)
	}
}
